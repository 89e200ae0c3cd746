/** What the Schema Registry asks before it takes a schema: the tables as the metadata log has them at that moment. */
import type { MetadataClient } from "./metadata/client.ts";
import type { TableInfo } from "./metadata/image.ts";
import type { RegistrationGuard } from "./registry/schema-registry.ts";
import { tableGuard } from "./table/schema/registry-guard.ts";
import type { TableSettings } from "./table/settings.ts";
import { tableStateOf } from "./table/table-state.ts";

export function openTableGuard(metadata: MetadataClient, tables: readonly TableSettings[]): RegistrationGuard {
  return tableGuard({
    tables,
    mappingOf: ({ topic }) => {
      const table = newestTable(metadata, topic);
      const state = table === undefined ? undefined : tableStateOf(table);
      return state?.next?.mapping ?? state?.mapping;
    },
  });
}

function newestTable({ image }: MetadataClient, topicName: string): TableInfo | undefined {
  const topic = image.topicByName(topicName);
  return [...image.tables()]
    .filter((table) => table.topicId === topic?.id)
    .reduce<TableInfo | undefined>((a, b) => (a === undefined || b.generation > a.generation ? b : a), undefined);
}
