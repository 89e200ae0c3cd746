/** Which operation on which resource each API needs: Kafka's table. The test of the same name has a line for each that is served. */

import type { Rules } from "./guard.ts";
import { guardAdmin } from "./guard-admin.ts";
import { guardCluster } from "./guard-cluster.ts";
import { guardConsumerGroups } from "./guard-consumer-groups.ts";
import { guardCredentials } from "./guard-credentials.ts";
import { guardData } from "./guard-data.ts";
import { guardGroups } from "./guard-groups.ts";
import { guardMetadata } from "./guard-metadata.ts";
import { guardShare } from "./guard-share.ts";
import { guardShareState } from "./guard-share-state.ts";
import { guardStreamsGroups } from "./guard-streams-groups.ts";
import { guardTransactions } from "./guard-transactions.ts";

export const guardRules: Rules = {
  ...guardData,
  ...guardGroups,
  ...guardMetadata,
  ...guardAdmin,
  ...guardCluster,
  ...guardTransactions,
  ...guardShare,
  ...guardShareState,
  ...guardConsumerGroups,
  ...guardStreamsGroups,
  ...guardCredentials,
};
