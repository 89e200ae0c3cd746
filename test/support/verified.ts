/** What `verify` says of the one table of a compactor: "equal", or the verdict and what was found. */
import { join } from "node:path";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import type { TableInfo } from "../../src/metadata/image.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { ProofStore } from "../../src/table/tools/proof-store.ts";
import { Scratch } from "../../src/table/tools/scratch.ts";
import { verifyTable } from "../../src/table/tools/verify.ts";
import type { Lake } from "./lake.ts";

export async function verified(
  lake: Lake,
  compactor: Compactor,
  { settings, directory }: { readonly settings: TableSettings; readonly directory: string },
): Promise<string> {
  const [only] = compactor.tables();
  const deps = {
    catalog: lake.foreign(),
    warehouse: lake.warehouse,
    proofs: new ProofStore(lake.store),
    scratch: new Scratch({ disk: systemDisk, directory: join(directory, "scratch"), random: lake.runtime.random }),
    clock: systemRuntime().clock,
    limits: { engineBytesMax: 256 * 2 ** 20, engineThreads: 1 },
  };
  const report = await verifyTable(settings, only?.table as TableInfo, deps, new AbortController().signal);
  return [report.verdict, ...report.findings.map(({ detail }) => detail)].join();
}
