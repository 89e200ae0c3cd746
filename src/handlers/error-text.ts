/** Error texts quote what the client sent, and a string on the wire holds 32767 bytes: an answer must not become impossible by quoting. */
const charactersMax = 1000;

export function clipped(text: string): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}...`;
}
