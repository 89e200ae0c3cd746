/** The ids of one context, and what they stand for. */
import { guidOf } from "./guid.ts";
import { isSameContent, type SchemaContent, type SubjectVersion } from "./schema-content.ts";

export class IdSpace {
  readonly #byId = new Map<number, Set<SubjectVersion>>();
  /** What was imported may have several ids for one content. */
  readonly #idsOfGuid = new Map<string, Set<number>>();
  #idMax = 0;

  /** The largest id ever given: ids are in the bytes of records, so none is given twice. */
  get idMax(): number {
    return this.#idMax;
  }

  raise(idMax: number): void {
    this.#idMax = Math.max(this.#idMax, idMax);
  }

  insert(version: SubjectVersion): void {
    this.#byId.set(version.id, (this.#byId.get(version.id) ?? new Set()).add(version));
    const guid = guidOf(version);
    this.#idsOfGuid.set(guid, (this.#idsOfGuid.get(guid) ?? new Set()).add(version.id));
    this.raise(version.id);
  }

  remove(version: SubjectVersion): void {
    const users = this.#byId.get(version.id);
    users?.delete(version);
    if (users?.size !== 0) return;
    this.#byId.delete(version.id);
    const guid = guidOf(version);
    const ids = this.#idsOfGuid.get(guid);
    ids?.delete(version.id);
    if (ids?.size === 0) this.#idsOfGuid.delete(guid);
  }

  /** Deleted versions included: what they were written with must stay readable. */
  byId(id: number): readonly SubjectVersion[] {
    return [...(this.#byId.get(id) ?? [])];
  }

  idOf(content: SchemaContent): number | undefined {
    const id = this.idOfGuid(guidOf(content));
    // The guid is a digest that can be made to collide: what it finds is compared.
    const found = id === undefined ? undefined : this.byId(id)[0];
    return found !== undefined && isSameContent(found, content) ? id : undefined;
  }

  idOfGuid(guid: string): number | undefined {
    const ids = this.#idsOfGuid.get(guid);
    return ids === undefined ? undefined : Math.min(...ids);
  }
}
