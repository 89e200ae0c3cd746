/**
 * Schemas of AWS Glue's registry, by the UUID that its serializers write into records. What a UUID stands for never changes,
 * so it is asked for once; while Glue does not answer, asking fails, and a table waits.
 */
import type { GetSchemaVersionCommandInput, GetSchemaVersionCommandOutput, GlueClient } from "@aws-sdk/client-glue";
import { SingleFlight } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";

export interface GlueRegistryOptions {
  /** null: as the SDK finds it. Credentials are found as the SDK finds them too. */
  readonly region: string | null;
  readonly endpoint: string | null;
  /** Of the schemas that are asked for by name. */
  readonly registryName: string;
  readonly requestMsMax: number;
  readonly attemptsMax: number;
  /** Schemas that are remembered. */
  readonly schemasMax: number;
}

export interface GlueSchema {
  readonly schemaType: "AVRO" | "JSON" | "PROTOBUF";
  readonly schema: string;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class GlueRegistry {
  readonly #options: GlueRegistryOptions;
  readonly #flights = new SingleFlight<string, GlueSchema | undefined>();
  /** The oldest first. */
  readonly #known = new Map<string, GlueSchema>();
  #client: Promise<GlueClient> | undefined;

  constructor(options: GlueRegistryOptions) {
    this.#options = options;
  }

  /** undefined when there is no such version. Rejects with OperationFailed when Glue does not answer. */
  schemaById(id: string): Promise<GlueSchema | undefined> {
    const known = this.#known.get(id);
    if (known !== undefined || !uuid.test(id)) return Promise.resolve(known);
    return this.#flights.run(id, async () => {
      const found = await this.#ask({ SchemaVersionId: id });
      if (found === undefined) return undefined;
      const schema = schemaOf(found);
      this.#known.set(id, schema);
      const [oldest] = this.#known.keys();
      if (this.#known.size > this.#options.schemasMax) this.#known.delete(oldest as string);
      return schema;
    });
  }

  /** Of the latest version of the schema of that name; undefined when there is none. Rejects as schemaById does. */
  async latestId(name: string): Promise<string | undefined> {
    const SchemaId = { RegistryName: this.#options.registryName, SchemaName: name };
    const found = await this.#ask({ SchemaId, SchemaVersionNumber: { LatestVersion: true } });
    return found?.SchemaVersionId?.toLowerCase();
  }

  async #ask(input: GetSchemaVersionCommandInput): Promise<GetSchemaVersionCommandOutput | undefined> {
    const { GetSchemaVersionCommand } = await import("@aws-sdk/client-glue");
    try {
      const client = await this.#connect();
      return await client.send(new GetSchemaVersionCommand(input));
    } catch (cause) {
      if (cause instanceof Error && cause.name === "EntityNotFoundException") return undefined;
      const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
      throw new OperationFailed(`Glue's registry does not answer: ${reason}`, { happened: "no", cause });
    }
  }

  #connect(): Promise<GlueClient> {
    const { region, endpoint, attemptsMax, requestMsMax } = this.#options;
    this.#client ??= import("@aws-sdk/client-glue").then(
      ({ GlueClient: Client }) =>
        new Client({
          maxAttempts: attemptsMax,
          requestHandler: {
            connectionTimeout: requestMsMax,
            requestTimeout: requestMsMax,
            throwOnRequestTimeout: true,
          },
          ...(region === null ? {} : { region }),
          ...(endpoint === null ? {} : { endpoint }),
        }),
    );
    return this.#client;
  }
}

function schemaOf({ SchemaDefinition, DataFormat, Status }: GetSchemaVersionCommandOutput): GlueSchema {
  if (SchemaDefinition === undefined || Status === "PENDING")
    throw new OperationFailed(`a schema of Glue's registry is ${Status ?? "without text"}`, { happened: "no" });
  if (DataFormat !== "AVRO" && DataFormat !== "JSON" && DataFormat !== "PROTOBUF")
    throw new OperationFailed(`Glue's registry has a schema of format ${DataFormat}`, { happened: "no" });
  return { schemaType: DataFormat, schema: SchemaDefinition };
}
