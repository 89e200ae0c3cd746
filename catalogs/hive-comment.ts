/** Comments of columns as far as Glue and the Hive Metastore keep them. Pure. */

/** Glue's bound on a comment, which is one line. */
const glueBytesMax = 255;
/** Of the metastore's own tables in MySQL, whose texts have a byte a character. */
const hiveBytesMax = 256;

export function glueComment(text: string): string {
  return cut(text.replaceAll(/[\p{Cc}\p{Cs}]+/gu, " "), glueBytesMax);
}

export function hiveComment(text: string): string {
  return cut(text, hiveBytesMax);
}

/** At the end of a character. */
function cut(text: string, bytesMax: number): string {
  return new TextDecoder().decode(Buffer.from(text).subarray(0, bytesMax), { stream: true });
}
