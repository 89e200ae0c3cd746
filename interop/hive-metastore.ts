/** A real Hive Metastore over Derby on a free loopback port. */

import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort, start } from "../test/support/processes.ts";
import { type HiveVersion, hiveMetastoreJars, java } from "./tools.ts";

export interface HiveMetastore extends AsyncDisposable {
  readonly port: number;
}

export async function startHiveMetastore(options: {
  readonly version: HiveVersion;
  readonly directory: string;
  readonly isFramed?: boolean;
}): Promise<HiveMetastore> {
  const port = await freePort();
  const conf = join(options.directory, "conf");
  mkdirSync(conf, { recursive: true });
  const properties = {
    "javax.jdo.option.ConnectionURL": `jdbc:derby:;databaseName=${join(options.directory, "metastore")};create=true`,
    "javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
    "datanucleus.schema.autoCreateAll": "true",
    "metastore.schema.verification": "false",
    // The default one is a part of Hive's query engine.
    "metastore.expression.proxy": "org.apache.hadoop.hive.metastore.DefaultPartitionExpressionProxy",
    "metastore.warehouse.dir": join(options.directory, "managed"),
    "metastore.warehouse.external.dir": join(options.directory, "external"),
    "metastore.thrift.framed.transport.enabled": String(options.isFramed ?? false),
    "hive.in.test": "true", // Derby gets the tables of locks and transactions, which DataNucleus does not make.
    "metastore.client.capability.check": "false", // In tests it wants clients that say they are tests.
    // Others are parts of Hive's query engine.
    "metastore.task.threads.always": "org.apache.hadoop.hive.metastore.events.EventCleanerTask",
    "metastore.housekeeping.threads.on": "false",
    "metastore.event.db.notification.api.auth": "false",
  };
  const rows = Object.entries(properties).map(
    ([name, value]) => `<property><name>${name}</name><value>${value}</value></property>`,
  );
  writeFileSync(join(conf, "metastore-site.xml"), `<configuration>${rows.join("")}</configuration>`);
  const classPath = [conf, join(await hiveMetastoreJars(options.version), "*")].join(":");
  const running = await start(
    `hive-metastore-${options.version}`,
    java(17, 17),
    [
      "--add-opens=java.base/java.net=ALL-UNNAMED",
      "--add-opens=java.base/java.lang=ALL-UNNAMED",
      "--add-opens=java.base/java.util=ALL-UNNAMED",
      "-Xmx512m",
      "-cp",
      classPath,
      "org.apache.hadoop.hive.metastore.HiveMetaStore",
      "-p",
      String(port),
    ],
    {
      ready: () => isListening(port),
      cwd: options.directory,
    },
  );
  return { port, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

async function isListening(port: number): Promise<boolean> {
  return await new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      done(true);
    });
    socket.on("error", () => done(false));
  });
}
