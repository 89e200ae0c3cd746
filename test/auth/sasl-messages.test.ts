/** Proves: whatever a client says in an exchange is answered, and only what is right is let in; SCRAM's keys are those of RFC 7677. */
import { createHmac, pbkdf2Sync } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Exchange, Mechanism } from "../../src/auth/mechanism.ts";
import { oauthBearer } from "../../src/auth/oauth-bearer.ts";
import { plain } from "../../src/auth/plain.ts";
import { scram } from "../../src/auth/scram.ts";
import { scramCredential } from "../../src/auth/scram-credential.ts";
import { Gate } from "../../src/base/async.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { scramFinal } from "../support/sasl-client.ts";
import { seededRandom } from "../support/seeded.ts";

const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
const saltedPassword = pbkdf2Sync("pencil", salt, 4096, 32, "sha256");
const credential = scramCredential("SCRAM-SHA-256", { salt, iterations: 4096, saltedPassword });
const identity = { name: "user", isTokenAuthenticated: false, expiresAtMs: undefined };

const scramOf = (): Mechanism =>
  scram({
    mechanism: "SCRAM-SHA-256",
    random: seededRandom(1),
    lookup: async (name) => (name === "user" ? { credential, identity } : undefined),
    strangerSecret: () => new Uint8Array(32),
    strangerIterations: () => 4096,
  });

const mechanisms: Readonly<Record<string, () => Mechanism>> = {
  "SCRAM-SHA-256": scramOf,
  PLAIN: () => plain({ lookup: () => ({ kind: "clear", password: Buffer.from("pencil") }), gate: new Gate(1) }),
  OAUTHBEARER: () =>
    oauthBearer({
      keys: { keysFor: async () => [] },
      rules: { issuer: "i", audience: ["a"], clockSkewMs: 0, principalClaim: "sub" },
      clock: new ManualClock(),
    }),
};

const pieces = fc.constantFrom(
  "n,,",
  "y,,",
  "p=tls-unique,,",
  "n,a=other,",
  "n=user",
  "r=",
  "nonce",
  ",",
  "=2C",
  "=",
  "\0",
  "\x01",
  "auth=Bearer ",
  "a.b.c",
  "c=biws",
  "p=AAAA",
  "user",
  "pencil",
);
const message = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(pieces, { maxLength: 12 }).map((parts) => Uint8Array.from(Buffer.from(parts.join("")))),
);

test.each(Object.entries(mechanisms))(
  "%s answers every message, and lets nobody in by chance",
  async (name, mechanismOf) => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 3 }), async (messages) => {
        const exchange = mechanismOf().begin();
        for (const each of messages) {
          const isRight = name === "PLAIN" && /^(.*)\0[^\0]+\0pencil$/su.test(Buffer.from(each).toString());
          const step = await exchange.step(each);
          expect(step.kind === "authenticated").toBe(step.kind === "authenticated" && isRight);
          if (step.kind === "refused") expect(step.message).toContain(name);
        }
      }),
      { numRuns: name === "PLAIN" ? 60 : 1_000 }, // Each PLAIN message costs a hash.
    );
  },
  60_000,
);

test("PLAIN takes as long for a name that nobody has as for one with a password in clear", async () => {
  const known = { kind: "clear", password: Buffer.from("pencil") } as const;
  const mechanism = plain({ lookup: (name) => (name === "user" ? known : undefined), gate: new Gate(1) });
  const attempt = async (name: string): Promise<number> => {
    const before = process.cpuUsage();
    expect(await mechanism.begin().step(Buffer.from(`\0${name}\0wrong`))).toMatchObject({ kind: "refused" });
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  await attempt("user");
  // Both make the same hash; without it there would be less than a hundredth.
  expect((await attempt("nobody")) / (await attempt("user"))).toBeGreaterThan(0.25);
});

describe("SCRAM", () => {
  /** RFC 7677, section 3. */
  test("signs as the RFC's example", () => {
    const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
    const first = `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
    const final = scramFinal(bare, first, "pencil");
    expect(final).toBe(`c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`);
    const signed = `${bare},${first},c=biws,r=${nonce}`;
    const signature = createHmac("sha256", credential.serverKey).update(signed).digest("base64");
    expect(signature).toBe("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  });

  async function begun(): Promise<{ readonly exchange: Exchange; readonly first: string }> {
    const exchange = scramOf().begin();
    const step = await exchange.step(Buffer.from("n,,n=user,r=abc"));
    if (step.kind !== "challenge") throw new Error(step.kind);
    return { exchange, first: Buffer.from(step.token).toString() };
  }

  test("lets in who proves the password, once", async () => {
    const { exchange, first } = await begun();
    const final = Buffer.from(scramFinal("n=user,r=abc", first, "pencil"));
    expect(await exchange.step(final)).toMatchObject({ kind: "authenticated", identity });
    expect((await exchange.step(final)).kind).toBe("refused");
  });

  test("CVE-2024-56128: a final message with another nonce, or of another exchange, is refused", async () => {
    const { exchange, first } = await begun();
    const bent = scramFinal("n=user,r=abc", first, "pencil", "abcanother");
    const because = "the final message does not continue the first";
    expect(await exchange.step(Buffer.from(bent))).toMatchObject({ kind: "refused", because });
    const final = scramFinal("n=user,r=abc", first, "pencil");
    const again = scram({
      mechanism: "SCRAM-SHA-256",
      random: seededRandom(2),
      lookup: async () => ({ credential, identity }),
      strangerSecret: () => new Uint8Array(32),
      strangerIterations: () => 4096,
    }).begin();
    await again.step(Buffer.from("n,,n=user,r=abc"));
    expect((await again.step(Buffer.from(final))).kind).toBe("refused");
  });

  test("CVE-2017-12610: nobody acts as somebody else", async () => {
    expect(await scramOf().begin().step(Buffer.from("n,a=admin,n=user,r=abc"))).toMatchObject({
      kind: "refused",
      because: "it wants to act as somebody else",
    });
    const asAdmin = await mechanisms["PLAIN"]?.().begin().step(Buffer.from("admin\0user\0pencil"));
    expect(asAdmin).toMatchObject({ kind: "refused", because: "it wants to act as somebody else" });
  });

  test("a stranger is shown the same salt every time, and as many iterations as a user has", async () => {
    const challenge = async () => {
      const step = await scramOf().begin().step(Buffer.from("n,,n=nobody,r=abc"));
      return step.kind === "challenge"
        ? Buffer.from(step.token)
            .toString()
            .replace(/r=[^,]+/, "")
        : step.kind;
    };
    expect(await challenge()).toBe(await challenge());
    expect(await challenge()).toContain("i=4096");
  });
});
