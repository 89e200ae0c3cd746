/** Plants a bug in a source file as it is loaded, so that a check can be seen to find it. The file itself stays as it is. */
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { checkout } from "./processes.ts";

export interface Mutant {
  /** From the root of the checkout. */
  readonly file: string;
  /** Each must stand in the file once: a mutant that does not fit its source any more proves nothing. */
  readonly edits: readonly { readonly find: string; readonly put: string }[];
}

/** For modules that this process loads from now on. */
export function plantMutant(mutant: Mutant): void {
  const target = pathToFileURL(join(checkout, mutant.file)).href;
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      if (url !== target) return loaded;
      return { ...loaded, source: mutated(Buffer.from(loaded.source as Uint8Array).toString(), mutant) };
    },
  });
}

export function mutated(source: string, { file, edits }: Mutant): string {
  let text = source;
  for (const { find, put } of edits) {
    const [before, after, ...more] = text.split(find);
    if (after === undefined || more.length > 0) throw new Error(`not once in ${file}: ${find}`);
    text = `${before}${put}${after}`;
  }
  return text;
}
