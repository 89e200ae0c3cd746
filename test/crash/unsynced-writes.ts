/** Loaded before a broker (NODE_OPTIONS=--import): its durable writes are not durable, which losses of power must find. */
import { plantMutant } from "../support/mutate.ts";

plantMutant({
  file: "src/base/direct-io.ts",
  edits: [{ find: "if (O_DIRECT === undefined ||", put: "if (O_DIRECT !== undefined ||" }],
});
plantMutant({
  file: "src/base/system-disk.ts",
  edits: [{ find: "durable: constants.O_RDWR | (syncsWrites ?? 0)", put: "durable: constants.O_RDWR" }],
});
