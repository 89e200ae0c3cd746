/** Who may see and change how users authenticate. Delegation tokens guard themselves: they are their owners' and renewers'. */

import { code } from "../handler.ts";
import type { Rules } from "./guard.ts";

const clusterDenied = {
  errorCode: code("CLUSTER_AUTHORIZATION_FAILED"),
  errorMessage: "Cluster authorization failed.",
};

export const guardCredentials = {
  saslHandshake: ({ request, next }) => next(request),
  saslAuthenticate: ({ request, next }) => next(request),
  describeUserScramCredentials: async ({ request, access, next }) =>
    access.mayOnCluster("describe") ? await next(request) : { ...clusterDenied, results: [] },
  alterUserScramCredentials: async ({ request, access, next }) => {
    if (access.mayOnCluster("alter")) return await next(request);
    const users = new Set([...request.deletions, ...request.upsertions].map(({ name }) => name));
    return { results: Array.from(users, (user) => ({ user, ...clusterDenied })) };
  },
  createDelegationToken: ({ request, next }) => next(request),
  renewDelegationToken: ({ request, next }) => next(request),
  expireDelegationToken: ({ request, next }) => next(request),
  describeDelegationToken: ({ request, next }) => next(request),
} satisfies Rules;
