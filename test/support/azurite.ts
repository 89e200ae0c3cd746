/** Microsoft's emulator of Azure Storage, in memory, with an account and key of its own. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { answers, checkout, freePort, start } from "./processes.ts";

export interface Azurite extends AsyncDisposable {
  readonly account: string;
  readonly accountKey: string;
  /** With the account in its path, as the emulator wants it. */
  readonly endpoint: string;
  readonly service: BlobServiceClient;
}

export async function startAzurite(): Promise<Azurite> {
  const [account, accountKey, port] = ["inlet", randomBytes(32).toString("base64"), await freePort()];
  const flags = ["--blobHost", "127.0.0.1", "--blobPort", String(port), "--inMemoryPersistence", "--disableTelemetry"];
  const program = join(checkout, "node_modules/azurite/dist/src/blob/main.js");
  const running = await start("azurite", process.execPath, [program, ...flags, "--silent", "--skipApiVersionCheck"], {
    env: { AZURITE_ACCOUNTS: `${account}:${accountKey}` },
    ready: () => answers(`http://127.0.0.1:${port}/`),
  });
  const endpoint = `http://127.0.0.1:${port}/${account}`;
  const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, accountKey));
  return { account, accountKey, endpoint, service, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}
