/**
 * Regular expressions of others. RE2's engine is linear in the text, and in the size of the expression, which counts make large:
 * "x{1000}" takes seven bytes and a thousand steps a character, and five hundred of it hundreds of MiB.
 */
import { RE2JS, RE2JSException } from "re2js";

/** Bytes of an expression, times the largest count in it. Looked at first: it is the reading that takes the memory. */
const sizeMax = 10_000;

/**
 * Neither the reading of an expression nor the match of one text can be interrupted. With these both take some tenths of a second
 * at worst: a step may be taken for each character, and where case does not matter a wide class is walked through.
 */
const charactersMax = 4096;
const instructionsMax = 2000;
const wideClassesMax = 10;
const wideClass = /\\p|-(?:\\x|[^\0-\x7f])/gi;

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
  const isLong = text.length > charactersMax || (text.match(wideClass)?.length ?? 0) > wideClassesMax;
  if (isLong) return tooLarge;
  try {
    const compiled = RE2JS.compile(text);
    return compiled.programSize() > instructionsMax ? tooLarge : compiled;
  } catch (cause) {
    if (cause instanceof RE2JSException) return { problem: cause.message };
    throw cause;
  }
}

const tooLarge = { problem: "error parsing regexp: expression too large" };
