/**
 * Regular expressions of others. RE2's engine is linear in the text, and in the size of the expression, which counts make large:
 * "x{1000}" takes seven bytes and a thousand steps a character, and five hundred of it hundreds of MiB.
 */
import { RE2JS, RE2JSException } from "re2js";

/** Bytes of an expression, times the largest count in it. Without counts whatever a request holds is small enough. */
const sizeMax = 10_000;

/** The expression, or why it is none. */
export function compilePattern(text: string): RE2JS | { readonly problem: string } {
  const counts = Array.from(text.matchAll(/\{(\d+)(?:,(\d*))?\}/g), ([, min, max]) =>
    Math.max(Number(min), Number(max ?? 0)),
  );
  const largest = counts.reduce((most, count) => Math.max(most, count), 0);
  if (text.length * largest > sizeMax) {
    return {
      problem: `error parsing regexp: expression too large: ${text.length} characters with a count of ${largest}`,
    };
  }
  try {
    return RE2JS.compile(text);
  } catch (cause) {
    if (cause instanceof RE2JSException) return { problem: cause.message };
    throw cause;
  }
}
