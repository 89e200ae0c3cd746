/** Proves: a connection's authentication takes its steps in order, ends with its session, and tells who is who to the audit log only. */
import { describe, expect, test } from "vitest";
import { errorCode } from "../../schemas/kafka/errors.ts";
import type { Mechanism } from "../../src/auth/mechanism.ts";
import { refusal } from "../../src/auth/mechanism.ts";
import { apiNames } from "../../src/protocol/api-table.ts";
import { Authenticator, strangerApis } from "../../src/server/authenticator.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** The token is the name; "x" is wrong. A name with an end has it as its credential's lifetime in milliseconds. */
function naming(clock: ManualClock): Mechanism {
  return {
    name: "NAME",
    begin: () => ({
      step: async (token) => {
        const [name = "", lifetimeMs] = Buffer.from(token).toString().split(":");
        if (name === "x") return refusal("NAME", "the password is wrong", name);
        const expiresAtMs = lifetimeMs === undefined ? undefined : clock.now() + Number(lifetimeMs);
        return {
          kind: "authenticated",
          token: new Uint8Array(0),
          identity: { name, isTokenAuthenticated: false, expiresAtMs },
        };
      },
    }),
  };
}

function world(sessionMsMax = 60_000) {
  const clock = new ManualClock();
  const lines: { readonly message: string; readonly fields: object }[] = [];
  const log = (message: string, fields: object = {}): void => void lines.push({ message, fields });
  const logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  const authenticator = new Authenticator({
    mechanisms: new Map([
      ["NAME", naming(clock)],
      ["OTHER", naming(clock)],
    ]),
    limits: { failedAuthenticationDelayMs: 100, sessionMsMax },
    clock,
    audit: logger,
    clientHost: "10.0.0.1",
    listener: "sasl",
    signal: new AbortController().signal,
  });
  const handshake = (mechanism = "NAME") => {
    const answer = authenticator.handshake(mechanism, 1);
    return answer === "close" ? answer : [answer.body.errorCode, answer.closes];
  };
  const say = async (text: string) => {
    const answer = await authenticator.authenticate(Buffer.from(text));
    return answer === "close" ? answer : { ...answer.body, closes: answer.closes };
  };
  return { authenticator, clock, lines, handshake, say };
}

describe("a stranger", () => {
  test("may ask for the way in and for nothing else, of all APIs", () => {
    const { authenticator } = world();
    expect(apiNames.filter((name) => authenticator.mayAsk(name))).toEqual(
      [...strangerApis].toSorted((a, b) => apiNames.indexOf(a) - apiNames.indexOf(b)),
    );
    expect(strangerApis.size).toBe(3);
  });

  test("that says a token before a handshake, or a second handshake, is refused", async () => {
    expect(await world().say("alice")).toBe("close");
    const { handshake } = world();
    expect(handshake()).toEqual([0, false]);
    expect(handshake("OTHER")).toEqual([errorCode.ILLEGAL_SASL_STATE, true]);
    expect(world().handshake("NONE")).toEqual([errorCode.UNSUPPORTED_SASL_MECHANISM, true]);
  });

  test("that fails is answered after the delay, and not before", async () => {
    const { clock, handshake, say, lines } = world();
    handshake();
    let answered = false;
    const answer = say("x").finally(() => (answered = true));
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(99);
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    clock.advance(1);
    expect(await answer).toMatchObject({ errorCode: errorCode.SASL_AUTHENTICATION_FAILED, closes: true });
    expect(lines).toEqual([
      {
        message: "authentication failed",
        fields: {
          name: "x",
          mechanism: "NAME",
          clientHost: "10.0.0.1",
          listener: "sasl",
          because: "the password is wrong",
        },
      },
    ]);
  });
});

describe("a session", () => {
  test("is told its length, the shortest of what bounds it, and is over then", async () => {
    const { authenticator, clock, handshake, say } = world();
    handshake();
    expect(await say("alice:5000")).toMatchObject({ errorCode: 0, sessionLifetimeMs: 5_000 });
    expect(authenticator.mayAsk("metadata")).toBe(true);
    clock.advance(4_999);
    expect(authenticator.mayAsk("metadata")).toBe(true);
    clock.advance(1);
    expect(authenticator.mayAsk("metadata")).toBe(false);
    expect(authenticator.mayAsk("saslHandshake")).toBe(true);
  });

  test("without a bound never ends", async () => {
    const { authenticator, clock, handshake, say } = world(0);
    handshake();
    expect(await say("alice")).toMatchObject({ sessionLifetimeMs: 0 });
    clock.advance(1e12);
    expect(authenticator.mayAsk("metadata")).toBe(true);
  });

  test("goes on when the same principal authenticates again, and nothing is served meanwhile", async () => {
    const { authenticator, clock, handshake, say, lines } = world();
    handshake();
    await say("alice:5000");
    expect(handshake()).toEqual([errorCode.ILLEGAL_SASL_STATE, false]); // Within a second.
    clock.advance(4_000);
    expect(handshake()).toEqual([0, false]);
    expect(authenticator.mayAsk("metadata")).toBe(false);
    expect(await say("alice:5000")).toMatchObject({ errorCode: 0, sessionLifetimeMs: 5_000 });
    clock.advance(4_000);
    expect(authenticator.mayAsk("metadata")).toBe(true);
    expect(lines.map(({ fields }) => (fields as { readonly isAgain: boolean }).isAgain)).toEqual([false, true]);
  });

  test("does not change its principal or its mechanism", async () => {
    const { authenticator, clock, handshake, say } = world();
    handshake();
    await say("alice");
    clock.advance(2_000);
    expect(handshake("OTHER")).toEqual([errorCode.UNSUPPORTED_SASL_MECHANISM, true]);
    handshake();
    const answer = say("mallory");
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(100);
    expect(await answer).toMatchObject({ errorCode: errorCode.SASL_AUTHENTICATION_FAILED, closes: true });
    expect(authenticator.principal.name).toBe("alice");
  });
});
