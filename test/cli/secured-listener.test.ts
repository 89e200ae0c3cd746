/** Proves: commands get into listeners that want TLS, a certificate or a user, and say in one line why they do not. */
import { spawn } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { systemRuntime } from "../../src/base/runtime.ts";
import { type Broker, openBroker } from "../../src/broker.ts";
import { Authority, hasOpenssl } from "../support/certificates.ts";
import { type CommandResult, inlet } from "../support/command.ts";
import { configOf, inProcess } from "../support/config.ts";
import { checkout } from "../support/processes.ts";
import { setScramPassword } from "../support/sasl-client.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-cli-secured-"));
const path = (name: string): string => join(directory, name);
const password = "hunter2, pässword";
const ca = ["--tls-ca", path("root.crt")];
const alice = ["--user", "alice", "--password-file", path("password")];
const certificateOf = (name: string) => ["--tls-cert", path(`${name}.crt`), "--tls-key", path(`${name}.key`)];

let broker: Broker;
beforeAll(async () => {
  if (!hasOpenssl) return;
  const root = new Authority(directory, "root");
  root.issue("server", "/CN=localhost");
  root.issue("other", "/CN=other", "DNS:other.example");
  root.issue("alice", "/CN=alice");
  new Authority(directory, "strangers").issue("stranger", "/CN=stranger");
  writeFileSync(path("password"), `${password}\n`);
  writeFileSync(path("empty"), "\n");
  writeFileSync(path("token"), tokenOf("alice"));
  const settings = { ...inProcess(directory), "authentication-failed-delay-ms": "10" };
  broker = await openBroker(configOf(listeners(), settings));
  for (const mechanism of ["SCRAM-SHA-256", "SCRAM-SHA-512"] as const)
    await setScramPassword(address("open"), { user: "alice", mechanism, password });
}, 60_000);
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});
afterEach(() => vi.unstubAllEnvs());

function listeners(): string {
  const tls = `certificate: ${path("server.crt")}, key: ${path("server.key")}`;
  const other = `certificate: ${path("other.crt")}, key: ${path("other.key")}`;
  const mutual = `${tls}, client_auth: required, client_ca: ${path("root.crt")}`;
  return `
listeners:
  open: { port: 0 }
  scram: { port: 0, protocol: SASL_PLAINTEXT, mechanisms: [SCRAM-SHA-256] }
  all: { port: 0, protocol: SASL_SSL, mechanisms: [PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER], tls: { ${tls} } }
  tls: { port: 0, protocol: SSL, tls: { ${tls} } }
  other: { port: 0, protocol: SSL, tls: { ${other} } }
  mutual: { port: 0, protocol: SSL, tls: { ${mutual} } }
sasl:
  users: { alice: { password: "${password}" } }
  oauth: { issuer: https://issuer.example, audience: [inlet], jwks: ${path("jwks.json")} }
`;
}

/** Writes the issuer's keys, too. */
function tokenOf(user: string): string {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(path("jwks.json"), JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one" }] }));
  const exp = Math.floor(systemRuntime().clock.now() / 1000) + 600;
  const claims = { sub: user, iss: "https://issuer.example", aud: "inlet", exp };
  const parts = [{ alg: "RS256", kid: "one" }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  const text = parts.join(".");
  return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
}

function address(listener: string): string {
  return broker.addresses.listeners.get(listener) as string;
}

async function list(listener: string, args: readonly string[]): Promise<CommandResult> {
  const result = await inlet(["topic", "list", "--brokers", address(listener), ...args]);
  expect(`${result.out}${result.error}`).not.toContain(password);
  return result;
}

describe.skipIf(!hasOpenssl)("a listener with", () => {
  test.each([
    ["TLS", "tls", ca],
    ["mutual TLS", "mutual", [...ca, ...certificateOf("alice")]],
    ["SCRAM, without TLS", "scram", [...alice, "--sasl-mechanism", "SCRAM-SHA-256"]],
    ["SCRAM-SHA-512, which need not be said", "all", [...ca, ...alice]],
    ["SCRAM-SHA-256", "all", [...ca, ...alice, "--sasl-mechanism", "SCRAM-SHA-256"]],
    ["PLAIN", "all", [...ca, ...alice, "--sasl-mechanism", "PLAIN"]],
    ["a password on the command line", "all", [...ca, "--user", "alice", "--password", password]],
    ["OAUTHBEARER", "all", [...ca, "--oauth-token-file", path("token")]],
  ])("%s lets a command in", async (_, listener, args) => {
    expect(await list(listener, args)).toMatchObject({ code: 0, error: "" });
  });

  test("a user serves all commands that ask a broker", async () => {
    const at = async (args: readonly string[], input = "") =>
      await inlet(["--brokers", address("all"), ...ca, ...alice, ...args], { input });
    expect(await at(["topic", "create", "t"])).toMatchObject({ code: 0 });
    expect(await at(["topic", "produce", "t"], "one\n")).toMatchObject({ code: 0 });
    expect((await at(["topic", "consume", "t", "-n", "1", "-g", "readers"])).out).toContain('"value":"one"');
    expect((await at(["group", "describe", "readers"])).out).toContain("LAG      0");
  });

  test("a user and a password that the environment names lets a command in, and what is said comes first", async () => {
    vi.stubEnv("INLET_USER", "alice");
    vi.stubEnv("INLET_PASSWORD", password);
    expect(await list("all", ca)).toMatchObject({ code: 0 });
    expect(await list("all", [...ca, "--oauth-token-file", path("token")])).toMatchObject({ code: 0 });
    vi.stubEnv("INLET_PASSWORD", "of another listener");
    expect(await list("all", [...ca, ...alice])).toMatchObject({ code: 0 });
    expect(await list("all", ca)).toMatchObject({ code: 1 });
    vi.stubEnv("INLET_USER", "");
    expect(await list("open", [])).toMatchObject({ code: 0 });
  });
});

const closes = "closes the connection: it may want";
const stranger = "is signed by nobody whom we trust: say --tls-ca, with the certificate of whoever signed it";
const noTls = "does not speak TLS: leave --tls out, or name another listener";
const refused = "SASL_AUTHENTICATION_FAILED: Authentication failed during authentication due to invalid credentials";

describe.skipIf(!hasOpenssl)("a listener that does not let a command in is told of in one line:", () => {
  test.each([
    ["TLS, and none said", "tls", [], 3, `<at> ${closes} TLS (--tls or --tls-ca), or a user (--user)`],
    ["TLS, and only a user said", "all", alice, 3, `<at> ${closes} TLS (--tls or --tls-ca)`],
    ["no TLS, and TLS said", "open", ["--tls"], 3, `<at> ${noTls}`],
    ["no TLS, and TLS and a user said", "scram", [...ca, ...alice], 3, `<at> ${noTls}`],
    ["a certificate of somebody else's", "tls", ["--tls"], 1, `the certificate of <at> ${stranger}`],
    [
      "of somebody else than said",
      "tls",
      ["--tls-ca", path("strangers.crt")],
      1,
      `the certificate of <at> ${stranger}`,
    ],
    ["another name", "other", ca, 1, "the certificate of <at> is for other names than this one"],
    ["mutual TLS, and no certificate", "mutual", ca, 1, "<at> wants a certificate: say --tls-cert and --tls-key"],
    [
      "mutual TLS, and a stranger's certificate",
      "mutual",
      [...ca, ...certificateOf("stranger")],
      3,
      `<at> ${closes} a user (--user), or another certificate than --tls-cert`,
    ],
    ["a user, and none said", "scram", [], 3, `<at> ${closes} TLS (--tls or --tls-ca), or a user (--user)`],
    ["a user over TLS, and none said", "all", ca, 3, `<at> ${closes} a user (--user), or a certificate (--tls-cert)`],
    [
      "no users, and one said",
      "open",
      alice,
      1,
      "ILLEGAL_SASL_STATE: Request is not valid given the current SASL state; the listener may ask for no user: leave --user and INLET_USER out, or name another listener",
    ],
    [
      "another mechanism",
      "scram",
      alice,
      1,
      "UNSUPPORTED_SASL_MECHANISM: The broker does not support the requested SASL mechanism; say another one with --sasl-mechanism",
    ],
    [
      "a wrong password",
      "all",
      [...ca, "--user", "alice", "--password", "guessed"],
      1,
      `${refused} with SASL mechanism SCRAM-SHA-512`,
    ],
    [
      "a name that is not known",
      "all",
      [...ca, "--user", "bob", "--password", "guessed", "--sasl-mechanism", "PLAIN"],
      1,
      `${refused} with SASL mechanism PLAIN`,
    ],
    [
      "a token that is none",
      "all",
      [...ca, "--oauth-token-file", path("password")],
      1,
      "SASL_AUTHENTICATION_FAILED: Authentication failed during authentication due to invalid credentials with SASL mechanism OAUTHBEARER",
    ],
  ] as const)("%s", async (_, listener, args, code, said) => {
    const error = `inlet: ${said.replace("<at>", address(listener))}\n`;
    expect(await list(listener, args)).toEqual({ code, out: "", error });
  });
});

describe.skipIf(!hasOpenssl)("a wrong command line is 2, and says what to do:", () => {
  test.each([
    ["a certificate without its key", ["--tls-cert", path("alice.crt")], "--tls-key"],
    ["a key without its certificate", ["--tls-key", path("alice.key")], "--tls-cert"],
    ["a file that is not there", ["--tls-ca", path("none")], `--tls-ca: ${path("none")} cannot be read (ENOENT)`],
    ["a file that is no certificate", ["--tls-ca", path("alice.key")], "holds no certificate: a PEM file is wanted"],
    [
      "a key of another certificate",
      ["--tls-cert", path("alice.crt"), "--tls-key", path("server.key")],
      "--tls-key is not the key of --tls-cert",
    ],
    ["a user without a password", ["--user", "alice"], "set INLET_PASSWORD, or say --password-file"],
    ["a password without a user", ["--password", password], "say --user, or set INLET_USER"],
    ["a mechanism without a user", ["--sasl-mechanism", "PLAIN"], "say --user, or set INLET_USER"],
    ["a mechanism that is none", ["--sasl-mechanism", "GSSAPI"], "SCRAM-SHA-512"],
    ["two passwords", [...alice, "--password", password], "say one"],
    ["an empty password", ["--user", "alice", "--password-file", path("empty")], "the file is empty"],
    ["a password in place of its file", ["--user", "alice", "--password-file", password], "cannot be read"],
    ["OAUTHBEARER without a token", ["--sasl-mechanism", "OAUTHBEARER"], "--oauth-token-file"],
    ["a token and a user", [...alice, "--oauth-token-file", path("token")], "leave the user and the password out"],
    [
      "a token for another mechanism",
      ["--sasl-mechanism", "PLAIN", "--oauth-token-file", path("token")],
      "is for OAUTHBEARER",
    ],
  ])("%s", async (_, args, said) => {
    expect(await list("all", args)).toEqual({ code: 2, out: "", error: expect.stringContaining(said) });
  });
});

describe.skipIf(!hasOpenssl)("the program", () => {
  test("trusts whom the machine trusts, and ends at once where it is not let in", async () => {
    const at = ["topic", "list", "--tls", "--brokers", address("tls")];
    expect(await launch(at, { SSL_CERT_FILE: path("root.crt") })).toMatchObject({ code: 0 });
    expect(await launch(at, { NODE_EXTRA_CA_CERTS: path("root.crt") })).toMatchObject({ code: 0 });
    expect(await launch(at)).toMatchObject({ code: 1, error: expect.stringContaining(stranger) });
    const guess = ["topic", "list", "--brokers", address("all"), ...ca, "--user", "alice"];
    expect(await launch(guess, { INLET_PASSWORD: "guessed" })).toMatchObject({ code: 1 });
  }, 60_000);

  test("asks an admin API behind a proxy with a certificate of its own", async () => {
    const proxy = createServer({ cert: readFileSync(path("server.crt")), key: readFileSync(path("server.key")) });
    proxy.on("request", (_, response) => response.end('{"tables":[]}'));
    await once(proxy.listen(0, "127.0.0.1"), "listening");
    const url = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const args = ["table", "list", "--json", "--admin", url];
    expect(await inlet(args)).toEqual({
      code: 1,
      out: "",
      error: `inlet: the certificate of ${url} is signed by nobody whom we trust: set NODE_EXTRA_CA_CERTS to the file of whoever signed it\n`,
    });
    const trusting = await launch(args, { NODE_EXTRA_CA_CERTS: path("root.crt") });
    expect(trusting).toMatchObject({ code: 0, out: "[]\n" });
    proxy.closeAllConnections();
    await once(proxy.close(), "close");
  }, 60_000);
});

/** The program as a shell runs it. */
async function launch(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  const child = spawn(join(checkout, "bin/inlet"), args, { env: { ...process.env, ...environment } });
  let [out, error] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (error += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  return { code, out, error };
}
