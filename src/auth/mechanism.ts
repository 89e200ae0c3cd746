/** What every SASL mechanism is: an exchange of tokens with one client, which ends in an identity or in a refusal. */

export interface Mechanism {
  readonly name: string;
  /** One attempt of one connection. */
  begin(): Exchange;
}

export interface Exchange {
  /** The client's next token. Whatever the bytes are, it answers: nothing that a client sends throws. */
  step(token: Uint8Array): Promise<Step>;
}

export type Step =
  | { readonly kind: "challenge"; readonly token: Uint8Array }
  | { readonly kind: "authenticated"; readonly token: Uint8Array; readonly identity: Identity }
  | Refusal;

export interface Refusal {
  readonly kind: "refused";
  /** For the client: the same for a name that is not known and for a password that is wrong. */
  readonly message: string;
  /** For the audit log; holds nothing secret. */
  readonly because: string;
  /** Whom the client said it is, when it came to that. */
  readonly name?: string;
}

export interface Identity {
  readonly name: string;
  readonly isTokenAuthenticated: boolean;
  /** Wall-clock time from which the credential is worth nothing; undefined when it says none. */
  readonly expiresAtMs: number | undefined;
}

export function refusal(mechanism: string, because: string, name?: string): Refusal {
  const message = `Authentication failed during authentication due to invalid credentials with SASL mechanism ${mechanism}`;
  return { kind: "refused", message, because, ...(name === undefined ? {} : { name }) };
}
