/** What `verify` says of the one table of a compactor: "equal", or the verdict and what was found. */
import { join } from "node:path";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import type { TableInfo, Topic } from "../../src/metadata/image.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { ProofStore } from "../../src/table/tools/proof-store.ts";
import { ReplayedStore } from "../../src/table/tools/replayed.ts";
import { Scratch } from "../../src/table/tools/scratch.ts";
import { type VerifyReport, verifyTable } from "../../src/table/tools/verify.ts";
import type { Lake } from "./lake.ts";

export async function verified(
  lake: Lake,
  compactor: Compactor,
  what: { readonly settings: TableSettings; readonly directory: string; readonly keysMax?: number },
): Promise<string> {
  const report = await verifyReport(lake, compactor, what);
  return [report.verdict, ...report.findings.map(({ detail }) => detail)].join();
}

export async function verifyReport(
  lake: Lake,
  compactor: Compactor,
  what: {
    readonly settings: TableSettings;
    readonly directory: string;
    readonly keysMax?: number;
    /** One that is built beside the topic's own. */
    readonly beside?: string;
  },
): Promise<VerifyReport> {
  const [only] = compactor.tables();
  const beside = what.beside === undefined ? undefined : compactor.beside(what.settings.topic, what.beside);
  const table = (beside?.info ?? only?.table) as TableInfo;
  const deps = {
    catalog: lake.foreign(),
    warehouse: lake.warehouse,
    proofs: new ProofStore(lake.store),
    scratch: new Scratch({ disk: systemDisk, directory: join(what.directory, "scratch"), random: lake.runtime.random }),
    clock: systemRuntime().clock,
    limits: { engineBytesMax: 256 * 2 ** 20, engineThreads: 1 },
    keyed: {
      log: lake.log,
      topic: lake.metadataLog.image.topic(table.topicId) as Topic,
      translator: lake.translator(),
      replayed: new ReplayedStore(lake.store, lake.runtime.random),
      readBytesMax: 1 << 16,
      keysMax: what.keysMax ?? 1_000_000,
    },
  };
  return await verifyTable(beside?.settings ?? what.settings, table, deps, new AbortController().signal);
}
