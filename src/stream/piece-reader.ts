/** Reads pieces of one object in the order of their positions, those that lie close together in one request. */
export interface Piece {
  readonly position: number;
  readonly bytes: number;
}

export class PieceReader<P extends Piece> {
  readonly #pieces: Iterator<P, undefined>;
  readonly #get: (start: number, end: number) => Promise<Uint8Array>;
  readonly #requestBytesMax: number;
  /** What the last request brought, and how much of it has been taken. */
  #chunk: Chunk<P> | undefined;
  #taken = 0;
  /** The first piece that was not asked for yet. */
  #ahead: P | undefined;

  /** A piece larger than `requestBytesMax` is a request of its own. */
  constructor(options: {
    readonly pieces: Iterator<P, undefined>;
    readonly get: (start: number, end: number) => Promise<Uint8Array>;
    readonly requestBytesMax: number;
  }) {
    this.#pieces = options.pieces;
    this.#get = options.get;
    this.#requestBytesMax = options.requestBytesMax;
    this.#ahead = this.#pieces.next().value;
  }

  /** The piece that `take` will give; undefined after the last. */
  get next(): P | undefined {
    return this.#chunk?.pieces[this.#taken] ?? this.#ahead;
  }

  /** Its bytes: a view that is never written again. */
  async take(): Promise<Uint8Array> {
    let chunk = this.#chunk;
    if (chunk === undefined || this.#taken === chunk.pieces.length) chunk = await this.#request();
    const { position, bytes } = chunk.pieces[this.#taken] as P;
    this.#taken += 1;
    return chunk.bytes.subarray(position - chunk.start, position - chunk.start + bytes);
  }

  async #request(): Promise<Chunk<P>> {
    const pieces: P[] = [];
    const start = this.#ahead?.position ?? 0;
    let end = start;
    for (let piece = this.#ahead; piece !== undefined; piece = this.#ahead) {
      const isClose = piece.position - end <= this.#requestBytesMax / gapShare;
      const isRoom = piece.position + piece.bytes - start <= this.#requestBytesMax;
      if (pieces.length > 0 && !(isClose && isRoom)) break;
      pieces.push(piece);
      end = piece.position + piece.bytes;
      this.#ahead = this.#pieces.next().value;
    }
    const chunk = { start, bytes: await this.#get(start, end), pieces };
    this.#chunk = chunk;
    this.#taken = 0;
    return chunk;
  }
}

interface Chunk<P> {
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly pieces: readonly P[];
}

/** Bytes between two pieces are read and thrown away up to this share of a request: one more request would cost more. */
const gapShare = 8;
