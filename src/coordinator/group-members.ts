/** The members of a classic group, in order of arrival, and what a join asks about all of them: counted as they come and go. */
import type { GroupProtocol, Member } from "./classic-group-state.ts";

export class GroupMembers extends Map<string, Member> {
  #joining = 0;
  #protocolBytes = 0;
  /** By the name of a protocol, how many speak it. */
  readonly #speakers = new Map<string, number>();

  static of(members: Iterable<Member>): GroupMembers {
    const all = new GroupMembers();
    for (const member of members) all.set(member.id, member);
    return all;
  }

  /** Members whose join waits for its answer. */
  get joining(): number {
    return this.#joining;
  }

  /** Of what all of them say of themselves. */
  get protocolBytes(): number {
    return this.#protocolBytes;
  }

  /** Whether there is no member that does not speak it. */
  allSpeak(protocol: string): boolean {
    return (this.#speakers.get(protocol) ?? 0) === this.size;
  }

  override set(id: string, member: Member): this {
    const former = this.get(id);
    this.#joining += Number(member.joining !== null) - Number(former !== undefined && former.joining !== null);
    if (former?.protocols !== member.protocols) {
      if (former !== undefined) this.#count(former.protocols, -1);
      this.#count(member.protocols, 1);
    }
    return super.set(id, member);
  }

  override delete(id: string): boolean {
    const former = this.get(id);
    if (former === undefined) return false;
    this.#joining -= Number(former.joining !== null);
    this.#count(former.protocols, -1);
    return super.delete(id);
  }

  override clear(): void {
    for (const id of this.keys()) this.delete(id);
  }

  #count(protocols: readonly GroupProtocol[], by: 1 | -1): void {
    this.#protocolBytes += by * protocolBytes(protocols);
    for (const name of new Set(protocols.map((protocol) => protocol.name))) {
      const speakers = (this.#speakers.get(name) ?? 0) + by;
      if (speakers > 0) this.#speakers.set(name, speakers);
      else this.#speakers.delete(name);
    }
  }
}

/** In memory: a protocol without a name takes some, too. */
export function protocolBytes(protocols: readonly GroupProtocol[]): number {
  return protocols.reduce((sum, { name, metadata }) => sum + protocolOverheadBytes + name.length + metadata.length, 0);
}

const protocolOverheadBytes = 64;
