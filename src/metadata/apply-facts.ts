/** What administrators set, key by key. An empty table is none, so that equal images are equal bytes. */
import type { ApplyContext, Verdict } from "./apply-context.ts";
import type { FactEvent } from "./events.ts";
import type { ImageState } from "./image-state.ts";

export function applySetFacts(image: ImageState, event: FactEvent, { undo }: ApplyContext): Verdict {
  for (const { table, key, value } of event.facts) {
    const facts = image.factTables.get(table) ?? new Map<string, string>();
    if (value !== null) undo.set(facts, key, value);
    else undo.delete(facts, key);
    if (facts.size > 0) undo.set(image.factTables, table, facts);
    else undo.delete(image.factTables, table);
  }
  return undefined;
}
