/** The handlers of log directories, elections, reassignments, quorum and features, made from one set of options. */
import type { Settings } from "../../../schemas/config.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Handlers } from "../../protocol/dispatch.ts";
import { listConfigResourcesHandler } from "../configs/list-config-resources.ts";
import { electLeadersHandler } from "../topics/elect-leaders.ts";
import {
  alterPartitionReassignmentsHandler,
  listPartitionReassignmentsHandler,
} from "../topics/partition-reassignments.ts";
import { alterReplicaLogDirsHandler, describeLogDirsHandler } from "./log-dirs.ts";
import { addRaftVoterHandler, describeQuorumHandler, removeRaftVoterHandler } from "./quorum.ts";
import { unregisterBrokerHandler } from "./unregister-broker.ts";
import { updateFeaturesHandler } from "./update-features.ts";

export interface ClusterAdminOptions {
  readonly settings: Pick<Settings, "dataDirectory">;
  readonly runtime: Runtime;
  readonly metadata: MetadataClient;
  readonly log: Log;
  readonly advertised: { readonly host: string; readonly port: number };
}

export function clusterAdminHandlers(options: ClusterAdminOptions) {
  const { settings, runtime, metadata, log, advertised } = options;
  const view = { metadata, advertised };
  const logDirs = { log, metadata, dataDirectory: settings.dataDirectory };
  return {
    alterReplicaLogDirs: alterReplicaLogDirsHandler(logDirs),
    describeLogDirs: describeLogDirsHandler(logDirs),
    electLeaders: electLeadersHandler(view),
    alterPartitionReassignments: alterPartitionReassignmentsHandler(view),
    listPartitionReassignments: listPartitionReassignmentsHandler(),
    describeQuorum: describeQuorumHandler({ ...view, clock: runtime.clock }),
    updateFeatures: updateFeaturesHandler({ metadata }),
    listConfigResources: listConfigResourcesHandler(view),
    addRaftVoter: addRaftVoterHandler(view),
    removeRaftVoter: removeRaftVoterHandler(view),
    unregisterBroker: unregisterBrokerHandler(view),
  } satisfies Handlers;
}
