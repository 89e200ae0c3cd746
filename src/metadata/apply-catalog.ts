/** What the events of the embedded Iceberg catalog do to the image: namespaces, and pointers moved by compare-and-set. */
import { type ApplyContext, refuse, type Verdict } from "./apply-context.ts";
import type { CatalogEvent } from "./events.ts";
import type { ImageState } from "./image-state.ts";

type EventOf<K extends CatalogEvent["kind"]> = Extract<CatalogEvent, { readonly kind: K }>;
type Pointer = EventOf<"move-table-pointers">["pointers"][number];

export function applyCatalogEvent(image: ImageState, event: CatalogEvent, context: ApplyContext): Verdict {
  switch (event.kind) {
    case "put-namespace":
      if (event.mustBeNew && image.namespaceProperties.has(event.namespace))
        return refuse("exists", `namespace ${event.namespace}`);
      context.undo.set(image.namespaceProperties, event.namespace, event.properties);
      return undefined;
    case "drop-namespace":
      return applyDropNamespace(image, event, context);
    case "move-table-pointers":
      return applyMovePointers(image, event, context);
  }
}

function applyDropNamespace(image: ImageState, event: EventOf<"drop-namespace">, context: ApplyContext): Verdict {
  if (!image.namespaceProperties.has(event.namespace)) return refuse("missing", `namespace ${event.namespace}`);
  const tables = image.pointers.get(event.namespace)?.size ?? 0;
  if (tables > 0) return refuse("invalid", `namespace ${event.namespace} holds ${tables} tables`);
  context.undo.delete(image.namespaceProperties, event.namespace);
  context.undo.delete(image.pointers, event.namespace);
  return undefined;
}

function applyMovePointers(image: ImageState, event: EventOf<"move-table-pointers">, context: ApplyContext): Verdict {
  for (const pointer of event.pointers) {
    const refusal = refusalOfPointer(image, pointer);
    if (refusal !== undefined) return refusal;
    const { namespace, table, location } = pointer;
    let tables = image.pointers.get(namespace);
    if (tables === undefined) {
      tables = new Map<string, string>();
      context.undo.set(image.pointers, namespace, tables);
    }
    if (location === null) context.undo.delete(tables, table);
    else context.undo.set(tables, table, location);
  }
  return undefined;
}

function refusalOfPointer(image: ImageState, { namespace, table, expected }: Pointer): Verdict {
  if (!image.namespaceProperties.has(namespace)) return refuse("missing", `namespace ${namespace}`);
  const present = image.tablePointer(namespace, table) ?? null;
  if (present === expected) return undefined;
  if (expected === null) return refuse("exists", `table ${namespace}.${table}`);
  if (present === null) return refuse("missing", `table ${namespace}.${table}`);
  return refuse("stale-version", `table ${namespace}.${table} is at ${present}`);
}
