/** What every store of the metadata log does: order, remember, recognise, chain, forget, and never go back unnoticed. */
import { afterEach, beforeEach, describe } from "vitest";
import { checkpoints, truncation } from "./contract/checkpoints.ts";
import { ghosts, lostAnswers, repeats, restarts, storms } from "./contract/doubt.ts";
import { clients, foldedMeaning, rollbacks } from "./contract/meaning.ts";
import { emptyAndOrder, reading, realTime } from "./contract/order.ts";
import { type Declare, declarer, type LogUnderTest } from "./contract/world.ts";

const parts: Readonly<Record<string, (it: Declare) => void>> = {
  "an ordered memory": emptyAndOrder,
  readers: reading,
  "real-time order": realTime,
  "repeated operations": repeats,
  "lost answers": lostAnswers,
  ghosts,
  storms,
  restarts,
  checkpoints,
  truncation,
  "what the fold makes of it": foldedMeaning,
  "nodes on top": clients,
};

/** `canGoBack`: the world can put its store back to an earlier state. */
export function casLogContract(
  name: string,
  setUp: () => Promise<LogUnderTest>,
  options: { readonly canGoBack: boolean } = { canGoBack: true },
): void {
  describe(`metadata log contract: ${name}`, () => {
    let world: LogUnderTest;
    beforeEach(async () => {
      world = await setUp();
    });
    afterEach(async () => await world.dispose());
    const it = declarer(() => world);
    for (const [title, declare] of Object.entries(parts)) describe(title, () => declare(it));
    if (options.canGoBack) describe("a store that went back", () => rollbacks(it));
  });
}
