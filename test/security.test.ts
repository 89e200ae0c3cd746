/** Proves: stock clients get in with what they should get in with, by every mechanism and over TLS, and with nothing else. */
import { createHmac, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { type Admin, Kafka, type KafkaConfig, logLevel, type SASLOptions } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashPassword } from "../src/auth/password-hash.ts";
import { systemRuntime } from "../src/base/runtime.ts";
import { type Broker, openBroker } from "../src/broker.ts";
import { Authority, type Certificate, hasOpenssl } from "./support/certificates.ts";
import { configOf, inProcess } from "./support/config.ts";
import { authenticatePlain, authenticateScram, connectTo, setScramPassword } from "./support/sasl-client.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-security-"));
const path = (name: string): string => join(directory, name);
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
let broker: Broker;
let authority: Authority;
let alice: Certificate;
let stranger: Certificate;

beforeAll(async () => {
  if (hasOpenssl) {
    authority = new Authority(directory, "root");
    authority.issue("server", "/CN=localhost");
    alice = authority.issue("alice", "/O=Example/OU=Data/CN=Alice");
    stranger = new Authority(directory, "elsewhere").issue("mallory", "/O=Example/OU=Data/CN=Alice");
  }
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "one", use: "sig" };
  writeFileSync(path("jwks.json"), JSON.stringify({ keys: [jwk] }));
  const hash = await hashPassword(Buffer.from("bob's password"), systemRuntime().random);
  writeFileSync(path("users"), `# made by the test\nbob:${hash}\n`);
  broker = await openBroker(configOf(config(), settings()));
}, 60_000);
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

function settings(): Readonly<Record<string, string>> {
  return {
    ...inProcess(directory),
    "tls-reload-ms": "100",
    "delegation-token-secret": "of the test",
    "authentication-failed-delay-ms": "10",
  };
}

function config(): string {
  const tls = `certificate: ${path("server.crt")}, key: ${path("server.key")}`;
  const encrypted = `
  encrypted: { port: 0, protocol: SASL_SSL, mechanisms: [PLAIN], tls: { ${tls} } }
  asking:
    port: 0
    protocol: SSL
    tls: { ${tls}, client_auth: requested, client_ca: ${path("root.crt")}, principal_rules: ["RULE:CN=Alice,.*/alice/"] }
  mutual:
    port: 0
    protocol: SSL
    tls:
      ${tls.replace(", ", "\n      ")}
      client_auth: required
      client_ca: ${path("root.crt")}
      principal_rules: ["RULE:CN=([^,]+),OU=Data,.*/$1@data/L"]`;
  return `
listeners:
  open: { port: 0 }
  sasl:
    port: 0
    protocol: SASL_PLAINTEXT
    mechanisms: [PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER]
    allow_plain_without_tls: true
${hasOpenssl ? encrypted : ""}
sasl:
  users: { alice: { password: "alice's password" } }
  users_file: ${path("users")}
  oauth: { issuer: https://issuer.example, audience: [inlet], jwks: ${path("jwks.json")} }
`;
}

function address(listener: string): string {
  return broker.addresses.listeners.get(listener) as string;
}

/** What a client of the listener is told of the cluster; rejects when it does not get in. */
async function ask(listener: string, options: Partial<KafkaConfig>): Promise<readonly string[]> {
  return await withAdmin(listener, options, async (admin) => {
    const { brokers } = await admin.describeCluster();
    return brokers.map(({ host, port }) => `${host}:${port}`);
  });
}

async function withAdmin<T>(
  listener: string,
  options: Partial<KafkaConfig>,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const retry = { retries: 0 };
  const kafka = new Kafka({ brokers: [address(listener)], logLevel: logLevel.NOTHING, retry, ...options });
  const admin = kafka.admin({ retry });
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

test("each listener tells its clients its own address", async () => {
  expect(await ask("open", {})).toEqual([address("open")]);
  const sasl: SASLOptions = { mechanism: "plain", username: "alice", password: "alice's password" };
  expect(await ask("sasl", { sasl })).toEqual([address("sasl")]);
});

test("a client that does not authenticate is not served", async () => {
  await expect(ask("sasl", {})).rejects.toThrow();
});

describe("PLAIN", () => {
  const attempt = (username: string, password: string): Promise<unknown> =>
    ask("sasl", { sasl: { mechanism: "plain", username, password } });

  test("lets in users of the configuration and of the file", async () => {
    await attempt("alice", "alice's password");
    await attempt("bob", "bob's password");
  });

  test("refuses a wrong password and a name that is not known with the same words", async () => {
    const texts = await Promise.all(
      [attempt("alice", "bob's password"), attempt("bob", "x"), attempt("carol", "x")].map((each) =>
        each.then(String, (error: unknown) => String(error)),
      ),
    );
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]).toContain("invalid credentials with SASL mechanism PLAIN");
  });

  test.skipIf(!hasOpenssl)("works over TLS", async () => {
    const sasl: SASLOptions = { mechanism: "plain", username: "alice", password: "alice's password" };
    expect(await ask("encrypted", { sasl, ssl: { ca: readFileSync(authority.certificate) } })).toHaveLength(1);
    await expect(ask("encrypted", { sasl })).rejects.toThrow();
  });
});

describe("SCRAM", () => {
  test.each(["scram-sha-256", "scram-sha-512"] as const)("%s lets in whom the admin has made", async (mechanism) => {
    const attempt = (username: string, password: string): Promise<unknown> =>
      ask("sasl", { sasl: { mechanism, username, password } as SASLOptions });
    const name = mechanism.toUpperCase() as "SCRAM-SHA-256" | "SCRAM-SHA-512";
    const dave = { user: "dave, the = of users", mechanism: name, password: "dave's password" };
    await setScramPassword(address("open"), dave);
    await attempt("dave, the = of users", "dave's password");
    const wrong = await attempt("dave, the = of users", "x").then(String, String);
    const unknown = await attempt("nobody", "x").then(String, String);
    expect(wrong).toBe(unknown);
    expect(wrong).toContain("invalid credentials");
  });

  test("a delegation token gets its owner in, but gives out no tokens", async () => {
    await using client = await connectTo(address("sasl"));
    await authenticatePlain(client, "alice", "alice's password");
    const made = await client.call("createDelegationToken", 3, { renewers: [], maxLifetimeMs: -1 });
    expect(made).toMatchObject({ errorCode: 0, principalName: "alice" });
    await using bearer = await connectTo(address("sasl"));
    const password = Buffer.from(made.hmac).toString("base64");
    const token = { user: made.tokenId, password, extensions: ",tokenauth=true" };
    const { sessionLifetimeMs } = await authenticateScram(bearer, token);
    expect(sessionLifetimeMs).toBeGreaterThan(86_000_000);
    const again = await bearer.call("createDelegationToken", 3, { renewers: [], maxLifetimeMs: -1 });
    expect(again.errorCode).toBe(64);
    expect(await client.call("expireDelegationToken", 2, { hmac: made.hmac, expiryTimePeriodMs: -1 })).toMatchObject({
      errorCode: 0,
    });
    await using late = await connectTo(address("sasl"));
    await expect(authenticateScram(late, token)).rejects.toThrow(/invalid credentials/);
  });
});

describe("OAUTHBEARER", () => {
  const now = (): number => Math.floor(systemRuntime().clock.now() / 1000);
  const good = () => ({ sub: "erin", iss: "https://issuer.example", aud: "inlet", exp: now() + 600 });

  function token(header: object, claims: object, signature?: (text: string) => Buffer): string {
    const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    const signed = signature?.(text) ?? sign("sha256", Buffer.from(text), privateKey);
    return `${text}.${signed.toString("base64url")}`;
  }

  const attempt = (value: string): Promise<unknown> =>
    ask("sasl", { sasl: { mechanism: "oauthbearer", oauthBearerProvider: async () => ({ value }) } });

  test("lets in whom a token of the issuer names", async () => {
    await attempt(token({ alg: "RS256", kid: "one" }, good()));
  });

  const publicPem = publicKey.export({ type: "spki", format: "pem" });
  const forged: Readonly<Record<string, () => string>> = {
    "no signature at all": () => token({ alg: "none" }, good(), () => Buffer.from("x")),
    "an HMAC with the public key": () =>
      token({ alg: "HS256", kid: "one" }, good(), (text) => createHmac("sha256", publicPem).update(text).digest()),
    "another's signature": () => token({ alg: "RS256", kid: "one" }, good(), () => randomBytes(256)),
    "a key that is not known": () => token({ alg: "RS256", kid: "two" }, good()),
    "another issuer": () => token({ alg: "RS256", kid: "one" }, { ...good(), iss: "https://elsewhere.example" }),
    "another audience": () => token({ alg: "RS256", kid: "one" }, { ...good(), aud: ["other"] }),
    "a time that is over": () => token({ alg: "RS256", kid: "one" }, { ...good(), exp: now() - 60 }),
    "no time of expiry": () => token({ alg: "RS256", kid: "one" }, { ...good(), exp: undefined }),
    "a time that has not come": () => token({ alg: "RS256", kid: "one" }, { ...good(), nbf: now() + 60 }),
    "nobody's name": () => token({ alg: "RS256", kid: "one" }, { ...good(), sub: undefined }),
  };

  test.each(Object.entries(forged))("refuses a token with %s", async (_, make) => {
    await expect(attempt(make())).rejects.toThrow();
  });
});

describe.skipIf(!hasOpenssl)("TLS", () => {
  const client = ({ certificate, key }: Certificate): Partial<KafkaConfig> => ({
    ssl: { ca: readFileSync(authority.certificate), cert: readFileSync(certificate), key: readFileSync(key) },
  });

  test("mTLS lets in who has a certificate that we trust, and nobody else", async () => {
    expect(await ask("mutual", client(alice))).toEqual([address("mutual")]);
    await expect(ask("mutual", client(stranger))).rejects.toThrow();
    await expect(ask("mutual", { ssl: { ca: readFileSync(authority.certificate) } })).rejects.toThrow();
    // A name that no rule fits.
    await expect(ask("mutual", client(authority.issue("other", "/CN=Other")))).rejects.toThrow();
  });

  test("mTLS that is requested takes who has no certificate, and nobody with one that we do not trust", async () => {
    expect(await ask("asking", { ssl: { ca: readFileSync(authority.certificate) } })).toEqual([address("asking")]);
    expect(await ask("asking", client(alice))).toEqual([address("asking")]);
    await expect(ask("asking", client(stranger))).rejects.toThrow();
  });

  test.each([
    ["TLSv1", false],
    ["TLSv1.1", false],
    ["TLSv1.2", true],
    ["TLSv1.3", true],
  ] as const)("%s is spoken: %s", async (version, isSpoken) => {
    const outcome = handshake({ minVersion: version, maxVersion: version, ciphers: "DEFAULT@SECLEVEL=0" });
    expect(
      await outcome.then(
        (protocol) => protocol === version,
        () => false,
      ),
    ).toBe(isSpoken);
  });

  test("new certificates count without a restart, and old connections live on", async () => {
    const sasl: SASLOptions = { mechanism: "plain", username: "alice", password: "alice's password" };
    const ssl = { ca: readFileSync(authority.certificate) };
    await withAdmin("encrypted", { sasl, ssl }, async (admin) => {
      const next = new Authority(directory, "next");
      const renewed = next.issue("renewed", "/CN=localhost");
      copyFileSync(renewed.key, path("server.key"));
      copyFileSync(renewed.certificate, path("server.crt"));
      const trusting = { ssl: { ca: readFileSync(next.certificate) }, sasl };
      await expect
        .poll(
          () =>
            ask("encrypted", trusting).then(
              () => true,
              () => false,
            ),
          { timeout: 10_000 },
        )
        .toBe(true);
      expect((await admin.describeCluster()).brokers).toHaveLength(1);
    });
  });

  function handshake(options: object): Promise<string | null> {
    const [host, port] = address("encrypted").split(":");
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ...options }, () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.once("error", reject);
    });
  }
});
