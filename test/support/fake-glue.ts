/** As much of AWS Glue as its catalog adapter speaks to: databases, tables, and the version that an update must name. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface FakeGlue extends AsyncDisposable {
  readonly port: number;
  /** As GetTable answers, by "database.table". */
  readonly tables: ReadonlyMap<string, Json>;
}

type Json = Readonly<Record<string, unknown>>;

export async function startFakeGlue(): Promise<FakeGlue> {
  const databases = new Set<string>();
  const tables = new Map<string, Json & { readonly VersionId: string }>();
  const operations: Readonly<Record<string, (request: Json) => Json | string>> = {
    GetDatabase: ({ Name }) => (databases.has(Name as string) ? { Database: { Name } } : "EntityNotFoundException"),
    CreateDatabase({ DatabaseInput }) {
      const { Name } = DatabaseInput as { readonly Name: string };
      if (databases.has(Name)) return "AlreadyExistsException";
      databases.add(Name);
      return {};
    },
    GetTable({ DatabaseName, Name }) {
      const Table = tables.get(`${DatabaseName as string}.${Name as string}`);
      return Table === undefined ? "EntityNotFoundException" : { Table };
    },
    CreateTable({ DatabaseName, TableInput }) {
      const key = `${DatabaseName as string}.${(TableInput as { readonly Name: string }).Name}`;
      if (!databases.has(DatabaseName as string)) return "EntityNotFoundException";
      if (tables.has(key)) return "AlreadyExistsException";
      tables.set(key, { ...(TableInput as Json), DatabaseName, VersionId: "0" });
      return {};
    },
    UpdateTable({ DatabaseName, TableInput, VersionId, SkipArchive }) {
      const key = `${DatabaseName as string}.${(TableInput as { readonly Name: string }).Name}`;
      const before = tables.get(key);
      if (before === undefined) return "EntityNotFoundException";
      if (SkipArchive !== true) return "ResourceNumberLimitExceededException"; // It would be, one day.
      if (VersionId !== before.VersionId) return "ConcurrentModificationException";
      tables.set(key, { ...(TableInput as Json), DatabaseName, VersionId: String(Number(before.VersionId) + 1) });
      return {};
    },
  };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const operation = operations[String(request.headers["x-amz-target"]).replace("AWSGlue.", "")];
      const answer = operation?.(JSON.parse(body) as Json) ?? "InvalidInputException";
      const isRefused = typeof answer === "string";
      response.writeHead(isRefused ? 400 : 200, { "content-type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify(isRefused ? { __type: answer, Message: answer } : answer));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as AddressInfo).port,
    tables,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
