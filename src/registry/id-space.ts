/** The ids of one context, and what they stand for. */
import { guidOf } from "./guid.ts";
import { isSameContent, type SchemaContent, type SubjectVersion } from "./schema-content.ts";

export class IdSpace {
  readonly #byId = new Map<number, Set<SubjectVersion>>();
  readonly #idOfGuid = new Map<string, number>();
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
    this.#idOfGuid.set(guidOf(version), version.id);
    this.raise(version.id);
  }

  remove(version: SubjectVersion): void {
    const users = this.#byId.get(version.id);
    users?.delete(version);
    if (users?.size !== 0) return;
    this.#byId.delete(version.id);
    this.#idOfGuid.delete(guidOf(version));
  }

  /** Deleted versions included: what they were written with must stay readable. */
  byId(id: number): readonly SubjectVersion[] {
    return [...(this.#byId.get(id) ?? [])];
  }

  idOf(content: SchemaContent): number | undefined {
    const id = this.#idOfGuid.get(guidOf(content));
    // The guid is a digest that can be made to collide: what it finds is compared.
    const found = id === undefined ? undefined : this.byId(id)[0];
    return found !== undefined && isSameContent(found, content) ? id : undefined;
  }

  idOfGuid(guid: string): number | undefined {
    return this.#idOfGuid.get(guid);
  }
}
