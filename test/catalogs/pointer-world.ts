/** What catalogs that write metadata files themselves are given in tests: a warehouse in memory, time and chance from a seed. */
import type { PointerCatalogDeps } from "../../catalogs/pointer-catalog.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { seededRuntime, silent } from "../support/seeded.ts";

export function pointerDeps(seed = 1): PointerCatalogDeps & { readonly limits: { readonly requestMsMax: number } } {
  const runtime = seededRuntime(seed);
  const warehouseRoot = "memory://lake/warehouse";
  const warehouse = new Warehouse({ mounts: new Map([[warehouseRoot, new MemoryObjectStore(runtime)]]) });
  return { runtime, logger: silent, warehouse, warehouseRoot, limits: { requestMsMax: 2_000 } };
}
