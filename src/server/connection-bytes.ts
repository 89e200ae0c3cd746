/**
 * Memory that clients hold by being slow: requests that were read and not answered, and answers that they have not read. Each
 * connection may hold so much, then it is not read; all together so much, then an answer is as small as it may be.
 *
 *   connection   |== requests ==|== answers not read ==|·········|  connectionBytesMax: reading stops
 *   all          |== answers not read, or being made ==|·········|  answerMemoryBytesMax: small answers only
 */
import { KiB } from "../base/settings.ts";

export interface ConnectionBytesLimits {
  /** Of one connection. One request, and its answer, may always be there. */
  readonly connectionBytesMax: number;
  /** Of the answers of all connections. */
  readonly answerMemoryBytesMax: number;
}

/** Of all connections. */
export interface AnswerMemory {
  bytes: number;
}

export class ConnectionBytes {
  readonly #limits: ConnectionBytesLimits;
  readonly #all: AnswerMemory;
  #requests = 0;
  /** Promised to answers that are being made. */
  #granted = 0;
  #unread = 0;

  constructor(limits: ConnectionBytesLimits, all: AnswerMemory) {
    this.#limits = limits;
    this.#all = all;
  }

  get isFull(): boolean {
    return this.#requests + this.#granted + this.#unread >= this.#limits.connectionBytesMax;
  }

  /** A request was read, or was answered when the bytes are negative. */
  request(bytes: number): void {
    this.#requests += bytes;
  }

  /** How large the answer may be, of what is wanted; counted until it is taken back. */
  grant(bytes: number): number {
    const { connectionBytesMax, answerMemoryBytesMax } = this.#limits;
    const room = Math.min(answerMemoryBytesMax - this.#all.bytes, connectionBytesMax - this.#granted - this.#unread);
    const granted = Math.min(bytes, Math.max(room, answerBytesMin));
    this.#granted += granted;
    this.#all.bytes += granted;
    return granted;
  }

  takeBack(granted: number): void {
    this.#granted -= granted;
    this.#all.bytes -= granted;
  }

  /** What has been written and not read by the peer, as the socket says. */
  unread(bytes: number): void {
    this.#all.bytes += bytes - this.#unread;
    this.#unread = bytes;
  }
}

/** Whoever reads is never left without, and a consumer with less would ask too often. */
const answerBytesMin = 128 * KiB;
