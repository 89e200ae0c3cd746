import { type Happened, OperationFailed } from "../base/errors.ts";

/** The registry says no, with the number that Confluent's clients branch on. */
export class RegistryRefused extends OperationFailed {
  override readonly name = "RegistryRefused";
  /** 40401 and the like; its first three digits are the HTTP status. */
  readonly code: number;

  constructor(
    code: number,
    message: string,
    options: { readonly happened: Happened; readonly cause?: unknown } = { happened: "no" },
  ) {
    super(message, options);
    this.code = code;
  }

  get status(): number {
    return this.code < 1000 ? this.code : Math.floor(this.code / 100);
  }
}

export const invalidSchemaCode = 42201;

export const refusals = {
  subjectNotFound: (subject: string) => new RegistryRefused(40401, `Subject '${subject}' not found.`),
  versionNotFound: (version: number | "latest") => new RegistryRefused(40402, `Version ${version} not found.`),
  schemaNotFound: (id?: number | string) =>
    new RegistryRefused(40403, id === undefined ? "Schema not found" : `Schema ${id} not found`),
  subjectSoftDeleted: (subject: string) =>
    new RegistryRefused(40404, `Subject '${subject}' was soft deleted.Set permanent=true to delete permanently`),
  subjectNotSoftDeleted: (subject: string) =>
    new RegistryRefused(40405, `Subject '${subject}' was not deleted first before being permanently deleted`),
  versionSoftDeleted: (subject: string, version: number) =>
    new RegistryRefused(
      40406,
      `Subject '${subject}' Version ${version} was soft deleted.Set permanent=true to delete permanently`,
    ),
  versionNotSoftDeleted: (subject: string, version: number) =>
    new RegistryRefused(
      40407,
      `Subject '${subject}' Version ${version} was not deleted first before being permanently deleted`,
    ),
  noSubjectConfig: (subject: string) =>
    new RegistryRefused(40408, `Subject '${subject}' does not have subject-level compatibility configured`),
  noSubjectMode: (subject: string) =>
    new RegistryRefused(40409, `Subject '${subject}' does not have subject-level mode configured`),
  incompatible: (detail: string) =>
    new RegistryRefused(40901, `Schema being registered is incompatible with an earlier schema; details: ${detail}`),
  breaksTable: (reason: string) =>
    new RegistryRefused(40901, `Schema being registered would break a table; details: [${reason}]`),
  invalidSchema: (detail: string) => new RegistryRefused(invalidSchemaCode, `Invalid schema: ${detail}`),
  invalidVersion: (version: string) =>
    new RegistryRefused(
      42202,
      `The specified version '${version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"`,
    ),
  invalidCompatibility: () =>
    new RegistryRefused(
      42203,
      "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive",
    ),
  invalidMode: () =>
    new RegistryRefused(42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT"),
  notPermitted: (detail: string) => new RegistryRefused(42205, detail),
  referenceExists: (subject: string, version: number) =>
    new RegistryRefused(
      42206,
      `One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=${subject},version=${version}}.`,
    ),
  idMismatch: (detail: string) => new RegistryRefused(42207, detail),
  invalidSubject: (subject: string) =>
    new RegistryRefused(
      42208,
      `The specified subject '${subject}' is not valid: no control characters, not empty, not __GLOBAL and not __EMPTY.`,
    ),
  schemaTooLarge: (bytesMax: number) =>
    new RegistryRefused(42209, `The schema is longer than ${bytesMax} bytes (registry.schema.bytes.max)`),
  invalidRuleSet: (detail: string) => new RegistryRefused(42210, `Invalid rule set or metadata: ${detail}`),
  contextNotEmpty: (context: string) => new RegistryRefused(42211, `The specified context '${context}' is not empty.`),
  storeFailed: (cause: unknown) =>
    new RegistryRefused(50001, "Error in the backend data store: the schema log could not be written", {
      happened: "maybe",
      cause,
    }),
} as const;
