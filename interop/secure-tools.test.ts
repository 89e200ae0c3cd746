/** Proves: Kafka's own tools administer and use a broker that has only encrypted listeners: SASL_SSL with PLAIN and SCRAM, and mTLS. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Authority, type Certificate } from "../test/support/certificates.ts";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { freePort } from "../test/support/processes.ts";
import { kafkaTool } from "./kafka.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-secure-tools-"));
const path = (name: string): string => join(directory, name);
const tools = "org.apache.kafka.tools";
let broker: InletBroker;
let authority: Authority;
let ports: { readonly sasl: number; readonly mutual: number };

beforeAll(async () => {
  authority = new Authority(directory, "root");
  const { certificate, key } = authority.issue("server", "/CN=localhost");
  ports = { sasl: await freePort(), mutual: await freePort() };
  const tls = { certificate, key };
  const mutual = {
    ...tls,
    client_auth: "required",
    client_ca: authority.certificate,
    principal_rules: ["RULE:CN=([^,]+).*/$1/"],
  };
  broker = await startInlet({
    directory: path("broker"),
    config: {
      listeners: {
        sasl: { port: ports.sasl, protocol: "SASL_SSL", mechanisms: ["PLAIN", "SCRAM-SHA-512"], tls },
        mutual: { port: ports.mutual, protocol: "SSL", tls: mutual },
      },
      sasl: { users: { admin: { password: "admin's" } } },
      authorizer: { enabled: true },
      super: { users: ["User:admin"] },
      delegation: { token: { secret: "of the test" } },
    },
  });
}, 60_000);

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** A file of client properties. */
function client(name: string, properties: Readonly<Record<string, string>>): string {
  const trust = { "ssl.truststore.type": "PEM", "ssl.truststore.location": authority.certificate };
  const lines = Object.entries({ ...trust, ...properties }).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(path(name), lines.join(""));
  return path(name);
}

function withPassword(user: string, mechanism: "PLAIN" | "SCRAM-SHA-512"): string {
  const module = mechanism === "PLAIN" ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
  return client(`${user}.properties`, {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": mechanism,
    "sasl.jaas.config": `org.apache.kafka.common.security.${module} required username="${user}" password="${user}'s";`,
  });
}

function withCertificate({ certificate, key }: Certificate): string {
  writeFileSync(path("alice.pem"), `${readFileSync(key, "utf8")}${readFileSync(certificate, "utf8")}`, { mode: 0o600 });
  const store = { "ssl.keystore.type": "PEM", "ssl.keystore.location": path("alice.pem") };
  return client("alice.properties", { "security.protocol": "SSL", ...store });
}

async function tool(
  className: string,
  port: number,
  config: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const at = ["--bootstrap-server", `localhost:${port}`, "--command-config", config];
  return await kafkaTool(className, [...at, ...args], { timeoutMs: 60_000, ...(input === undefined ? {} : { input }) });
}

test("passwords, ACLs, producing and consuming", { timeout: 180_000 }, async () => {
  const admin = withPassword("admin", "PLAIN");
  const ask = (className: string, ...args: readonly string[]) => tool(className, ports.sasl, admin, args);
  for (const user of ["bob", "carol"]) {
    const entity = ["--entity-type", "users", "--entity-name", user];
    await ask("kafka.admin.ConfigCommand", "--alter", ...entity, "--add-config", `SCRAM-SHA-512=[password=${user}'s]`);
    expect(await ask("kafka.admin.ConfigCommand", "--describe", ...entity)).toContain("SCRAM-SHA-512");
  }
  await ask(`${tools}.TopicCommand`, "--create", "--topic", "secret");
  const rights = ["--topic", "secret", "--add"];
  await ask(`${tools}.AclCommand`, "--allow-principal", "User:bob", "--producer", ...rights);
  await ask(`${tools}.AclCommand`, "--allow-principal", "User:alice", "--consumer", "--group", "*", ...rights);
  expect(await ask(`${tools}.AclCommand`, "--list")).toMatch(/User:bob[\s\S]*User:alice|User:alice[\s\S]*User:bob/);

  const produce = (user: string, lines: string) =>
    tool(`${tools}.ConsoleProducer`, ports.sasl, withPassword(user, "SCRAM-SHA-512"), ["--topic", "secret"], lines);
  await produce("carol", "not allowed\n"); // The tool complains and ends as if all were well.
  await produce("bob", "one\ntwo\n");

  const alice = withCertificate(authority.issue("alice", "/O=Example/CN=alice"));
  const reading = ["--topic", "secret", "--from-beginning", "--timeout-ms", "10000"];
  const read = await tool(`${tools}.consumer.ConsoleConsumer`, ports.mutual, alice, reading);
  expect(read.trim().split("\n")).toEqual(["one", "two"]);
  const nobody = client("nobody.properties", { "security.protocol": "SSL" });
  await expect(tool(`${tools}.TopicCommand`, ports.mutual, nobody, ["--list"])).rejects.toThrow();
});

test("tokens for another, by who may make them and see them", { timeout: 180_000 }, async () => {
  const admin = withPassword("admin", "PLAIN");
  const entity = ["--entity-type", "users", "--entity-name", "dave"];
  const password = ["--add-config", "SCRAM-SHA-512=[password=dave's]"];
  await tool("kafka.admin.ConfigCommand", ports.sasl, admin, ["--alter", ...entity, ...password]);
  const dave = withPassword("dave", "SCRAM-SHA-512");
  const tokens = (config: string, ...args: readonly string[]) =>
    tool(`${tools}.DelegationTokenCommand`, ports.sasl, config, args);
  const create = ["--create", "--max-life-time-period", "-1", "--owner-principal", "User:bob"];
  await expect(tokens(dave, ...create)).rejects.toThrow(/AuthorizationException/);
  const rights = ["--add", "--allow-principal", "User:dave", "--operation", "CreateTokens"];
  await tool(`${tools}.AclCommand`, ports.sasl, admin, [...rights, "--user-principal", "User:bob"]);
  expect(await tokens(dave, ...create)).toMatch(/User:bob\s+User:dave/);
  const describe = ["--describe", "--owner-principal", "User:bob"];
  expect(await tokens(dave, ...describe)).toMatch(/User:bob\s+User:dave/);
  expect(await tokens(admin, ...describe)).toMatch(/User:bob\s+User:dave/);
});
