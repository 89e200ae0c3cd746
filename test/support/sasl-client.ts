/** A client that says each message of its authentication itself, to a broker that runs. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import type { ResponseOf } from "../../src/protocol/api-table.ts";
import { RawClient } from "./raw-client.ts";

type Authenticated = ResponseOf<"saslAuthenticate">;

/** Connects to "host:port", without TLS. */
export async function connectTo(address: string): Promise<RawClient> {
  const [host, port] = address.split(":");
  return await RawClient.open({ host: host as string, port: Number(port) });
}

/** Rejects with what the broker says when it refuses. */
export async function sendToken(client: RawClient, text: string): Promise<Authenticated> {
  const answer = await client.call("saslAuthenticate", 2, { authBytes: Buffer.from(text) });
  if (answer.errorCode !== 0) throw new Error(`${answer.errorCode}: ${answer.errorMessage}`);
  return answer;
}

export async function authenticatePlain(client: RawClient, user: string, password: string): Promise<Authenticated> {
  await client.call("saslHandshake", 1, { mechanism: "PLAIN" });
  return await sendToken(client, `\0${user}\0${password}`);
}

/** By SCRAM-SHA-256; `extensions` stand behind the client's nonce. */
export async function authenticateScram(
  client: RawClient,
  {
    user,
    password,
    extensions = "",
  }: { readonly user: string; readonly password: string; readonly extensions?: string },
): Promise<Authenticated> {
  await client.call("saslHandshake", 1, { mechanism: "SCRAM-SHA-256" });
  const bare = `n=${user},r=nonce${extensions}`;
  const first = Buffer.from((await sendToken(client, `n,,${bare}`)).authBytes).toString();
  return await sendToken(client, scramFinal(bare, first, password));
}

/** Makes the user, at a listener where anybody may. */
export async function setScramPassword(
  address: string,
  {
    user,
    mechanism,
    password,
  }: { readonly user: string; readonly mechanism: "SCRAM-SHA-256" | "SCRAM-SHA-512"; readonly password: string },
): Promise<void> {
  const salt = randomBytes(20);
  const iterations = 4096;
  const [number, hash, bytes] =
    mechanism === "SCRAM-SHA-256" ? ([1, "sha256", 32] as const) : ([2, "sha512", 64] as const);
  const saltedPassword = pbkdf2Sync(password, salt, iterations, bytes, hash);
  await using client = await connectTo(address);
  const upsertions = [{ name: user, mechanism: number, iterations, salt, saltedPassword }];
  const { results } = await client.call("alterUserScramCredentials", 0, { deletions: [], upsertions });
  if (results[0]?.errorCode !== 0) throw new Error(`the user cannot be made: ${JSON.stringify(results)}`);
}

/** The client's last message; with another nonce than the server's where one is given, and a proof that fits it. */
export function scramFinal(bare: string, serverFirst: string, password: string, otherNonce?: string): string {
  const [, serverNonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
  const nonce = otherNonce ?? serverNonce;
  const salted = pbkdf2Sync(password, Buffer.from(salt as string, "base64"), Number(iterations), 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const withoutProof = `c=biws,r=${nonce}`;
  const storedKey = createHash("sha256").update(clientKey).digest();
  const signature = createHmac("sha256", storedKey).update(`${bare},${serverFirst},${withoutProof}`).digest();
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] as number)));
  return `${withoutProof},p=${proof.toString("base64")}`;
}
