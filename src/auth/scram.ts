/**
 * The server's side of SCRAM (RFC 5802, RFC 7677).
 *
 *   client  n,[a=authzid],n=user,r=nonce[,tokenauth=true]
 *   server  r=nonce+ours,s=salt,i=iterations
 *   client  c=base64(n,[a=authzid],),r=nonce+ours,p=proof
 *   server  v=signature
 *
 * A name that is not known takes the same steps with a salt and keys that only we can tell from real ones.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Random } from "../base/runtime.ts";
import { type Exchange, type Identity, type Mechanism, refusal, type Step } from "./mechanism.ts";
import { type ScramCredential, type ScramMechanism, scramHashName, scramIterations } from "./scram-credential.ts";

export interface ScramLookup {
  readonly credential: ScramCredential;
  readonly identity: Identity;
}

export interface ScramOptions {
  readonly mechanism: ScramMechanism;
  readonly random: Random;
  /** By the user's name, or by a delegation token's id. undefined: there is none. */
  readonly lookup: (name: string, isToken: boolean) => Promise<ScramLookup | undefined>;
  /** Makes the salts of names that are not known; the same on all brokers and after restarts. */
  readonly strangerSecret: () => Uint8Array;
  /** What those names are said to have. */
  readonly strangerIterations: () => number;
}

const nonceBytes = 18;
/** Far above what clients send (Kafka's: 36 characters a nonce); a bound on what we sign. */
const messageBytesMax = 4096;
const saslName = String.raw`(?:[^,=\x00]|=2C|=3D)+`;
/** RFC 5802: printable characters without the comma. */
const nonce = String.raw`[\x21-\x2b\x2d-\x7e]+`;
const extensions = String.raw`(?:,[A-Za-z][A-Za-z0-9_.-]*=[^,\x00]+)*`;
const clientFirst = new RegExp(`^([ny],(?:a=(${saslName}))?,)(n=(${saslName}),r=(${nonce})(${extensions}))$`);
const clientFinal = new RegExp(`^(c=([A-Za-z0-9+/=]+),r=(${nonce})${extensions}),p=([A-Za-z0-9+/=]+)$`);

export function scram(options: ScramOptions): Mechanism {
  return { name: options.mechanism, begin: () => new ScramExchange(options) };
}

class ScramExchange implements Exchange {
  readonly #options: ScramOptions;
  #begun: Begun | undefined;
  #isOver = false;

  constructor(options: ScramOptions) {
    this.#options = options;
  }

  async step(token: Uint8Array): Promise<Step> {
    if (this.#isOver || token.length > messageBytesMax) return this.#refuse("the message does not belong here");
    const message = Buffer.from(token).toString("utf8");
    return this.#begun === undefined ? await this.#first(message) : this.#final(message, this.#begun);
  }

  async #first(message: string): Promise<Step> {
    const [, header, authorizeAs, bare, user, clientNonce, extras] = clientFirst.exec(message) ?? [];
    if (header === undefined || bare === undefined || user === undefined || clientNonce === undefined) {
      return this.#refuse("the client's first message is malformed");
    }
    const name = unescaped(user);
    if (authorizeAs !== undefined && unescaped(authorizeAs) !== name) {
      return this.#refuse("it wants to act as somebody else", name);
    }
    const isToken = (extras ?? "").split(",").includes("tokenauth=true");
    const stranger = this.#stranger(name); // Made for everybody, so that the time does not tell who is one.
    const found = await this.#options.lookup(name, isToken);
    const credential = found?.credential ?? stranger;
    const fullNonce =
      clientNonce + Buffer.from(this.#options.random.fill(new Uint8Array(nonceBytes))).toString("base64");
    const salt = Buffer.from(credential.salt).toString("base64");
    const answer = `r=${fullNonce},s=${salt},i=${credential.iterations}`;
    this.#begun = { name, header, nonce: fullNonce, bare, answer, credential, identity: found?.identity };
    return { kind: "challenge", token: Buffer.from(answer) };
  }

  #final(message: string, begun: Begun): Step {
    const [, withoutProof, binding, fullNonce, proof] = clientFinal.exec(message) ?? [];
    this.#isOver = true;
    if (withoutProof === undefined || binding === undefined || fullNonce === undefined || proof === undefined) {
      return this.#refuse("the client's final message is malformed", begun.name);
    }
    if (binding !== Buffer.from(begun.header).toString("base64") || fullNonce !== begun.nonce) {
      return this.#refuse("the final message does not continue the first", begun.name); // CVE-2024-56128.
    }
    const signed = `${begun.bare},${begun.answer},${withoutProof}`;
    const { credential, identity } = begun;
    const isProven = isProof(this.#options.mechanism, credential, signed, Buffer.from(proof, "base64"));
    const signature = createHmac(this.#hash, credential.serverKey).update(signed).digest("base64");
    if (identity === undefined) return this.#refuse("there is no such user", begun.name);
    if (!isProven) return this.#refuse("the password is wrong", begun.name);
    return { kind: "authenticated", token: Buffer.from(`v=${signature}`), identity };
  }

  /** The keys are random to everybody else, so no proof fits them. */
  #stranger(name: string): ScramCredential {
    const { strangerSecret, strangerIterations } = this.#options;
    const derived = (use: string): Buffer =>
      createHmac(this.#hash, strangerSecret()).update(`${use}\0${name}`).digest();
    return {
      salt: derived("salt").subarray(0, saltBytes),
      iterations: Math.max(scramIterations.min, strangerIterations()),
      storedKey: derived("stored"),
      serverKey: derived("server"),
    };
  }

  get #hash(): "sha256" | "sha512" {
    return scramHashName(this.#options.mechanism);
  }

  #refuse(because: string, name?: string): Step {
    this.#isOver = true;
    return refusal(this.#options.mechanism, because, name);
  }
}

/** As long as those of Kafka's tools (ScramFormatter: 130 bits in base 36, 26 characters). */
const saltBytes = 26;

interface Begun {
  readonly name: string;
  /** GS2's, which the final message repeats: nobody between may have changed it. */
  readonly header: string;
  readonly nonce: string;
  readonly bare: string;
  readonly answer: string;
  readonly credential: ScramCredential;
  readonly identity: Identity | undefined;
}

/** Whether H(proof XOR HMAC(stored key, signed)) is the stored key. Takes the same time whatever the proof is. */
function isProof(mechanism: ScramMechanism, credential: ScramCredential, signed: string, proof: Uint8Array): boolean {
  const hash = scramHashName(mechanism);
  const signature = createHmac(hash, credential.storedKey).update(signed).digest();
  const clientKey = signature.map((byte, index) => byte ^ (proof[index] ?? 0));
  const isEqual = timingSafeEqual(createHash(hash).update(clientKey).digest(), credential.storedKey);
  return isEqual && proof.length === signature.length;
}

function unescaped(name: string): string {
  return name.replaceAll("=2C", ",").replaceAll("=3D", "=");
}
