/**
 * What the broker keeps of a password (RFC 5802): enough to check a proof, too little to make one.
 *
 *   salted password = PBKDF2(password, salt, iterations)         made by the client, never stored
 *   stored key      = H(HMAC(salted password, "Client Key"))
 *   server key      = HMAC(salted password, "Server Key")
 */
import { createHash, createHmac } from "node:crypto";
import { CorruptData } from "../base/errors.ts";

export const scramMechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
export type ScramMechanism = (typeof scramMechanisms)[number];

export interface ScramCredential {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/** Fewer are refused by RFC 7677, more by Kafka's clients and servers: a client would be kept busy by them. */
export const scramIterations = { min: 4096, max: 16384 } as const;

export function scramHashName(mechanism: ScramMechanism): "sha256" | "sha512" {
  return mechanism === "SCRAM-SHA-256" ? "sha256" : "sha512";
}

export function scramCredential(
  mechanism: ScramMechanism,
  salted: { readonly salt: Uint8Array; readonly iterations: number; readonly saltedPassword: Uint8Array },
): ScramCredential {
  const { salt, iterations, saltedPassword } = salted;
  const hash = scramHashName(mechanism);
  const clientKey = createHmac(hash, saltedPassword).update("Client Key").digest();
  return {
    salt: Uint8Array.from(salt),
    iterations,
    storedKey: createHash(hash).update(clientKey).digest(),
    serverKey: createHmac(hash, saltedPassword).update("Server Key").digest(),
  };
}

/** Of the fact that keeps it. No mechanism's name holds a slash, so the user's may hold anything. */
export function scramKey(mechanism: ScramMechanism, user: string): string {
  return `${mechanism}/${user}`;
}

/** undefined for what is no credential. */
export function parseScramKey(key: string): { readonly mechanism: ScramMechanism; readonly user: string } | undefined {
  const mechanism = scramMechanisms.find((name) => key.startsWith(`${name}/`));
  return mechanism === undefined ? undefined : { mechanism, user: key.slice(mechanism.length + 1) };
}

export function encodeScramCredential({ salt, iterations, storedKey, serverKey }: ScramCredential): string {
  return [salt, storedKey, serverKey].map(base64).join(",").concat(`,${iterations}`);
}

/** Throws CorruptData. */
export function decodeScramCredential(text: string): ScramCredential {
  const [salt, storedKey, serverKey, iterations, ...more] = text.split(",");
  const count = Number(iterations);
  if (!salt || !storedKey || !serverKey || !Number.isSafeInteger(count) || more.length > 0) {
    throw new CorruptData({
      source: "SCRAM credential",
      position: 0,
      expected: "salt, stored key, server key and iterations",
      found: "something else", // What it is may be a secret.
    });
  }
  return { salt: unbase64(salt), storedKey: unbase64(storedKey), serverKey: unbase64(serverKey), iterations: count };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function unbase64(text: string): Uint8Array {
  return Buffer.from(text, "base64");
}
