/** Page-aligned memory, which direct reads and writes need. What WebAssembly's memories are made of is the only such that JavaScript has. */

export const pageBytes = 4096;
const wasmPageBytes = 65_536;

/** TypeScript knows it only together with browsers. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

const aligned = new WeakSet<ArrayBufferLike>();

/** So many bytes, rounded up to 64 KiB. The system gives the pages when they are first written. */
export function pageAligned(bytes: number): Uint8Array {
  const { buffer } = new WebAssembly.Memory({ initial: Math.ceil(bytes / wasmPageBytes) });
  aligned.add(buffer);
  return new Uint8Array(buffer);
}

/** Whether the view begins at the start of a page. */
export function isPageAligned(view: Uint8Array): boolean {
  return aligned.has(view.buffer) && view.byteOffset % pageBytes === 0;
}
