/** Error texts quote what the client sent, and a string on the wire holds 32767 bytes: an answer must not become impossible by quoting. */
const charactersMax = 1000;

export function clipped(text: string): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}...`;
}

/** Longer than any topic's. */
const nameCharactersMax = 250;

/** Of a topic that there is not, in a text that is told beside each of its partitions: there may be as many as a request has elements. */
export function clippedName(name: string): string {
  return name.length <= nameCharactersMax ? name : `${name.slice(0, nameCharactersMax)}...`;
}
