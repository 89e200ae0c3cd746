/** What the Schema Registry asks before it takes a schema: the tables as the metadata log has them at that moment. */
import type { MetadataClient } from "./metadata/client.ts";
import type { RegistrationGuard } from "./registry/schema-registry.ts";
import { tableGuard } from "./table/schema/registry-guard.ts";
import type { TableSettings } from "./table/settings.ts";
import { tableStateOf } from "./table/table-state.ts";
import { ownTable } from "./table/topic-table.ts";

export function openTableGuard(metadata: MetadataClient, tables: readonly TableSettings[]): RegistrationGuard {
  return tableGuard({
    tables,
    mappingOf: (settings) => {
      const { image } = metadata;
      const table = ownTable(image.tables(), image.topicByName(settings.topic)?.id, settings);
      const state = table === undefined ? undefined : tableStateOf(table);
      return state?.next?.mapping ?? state?.mapping;
    },
  });
}
