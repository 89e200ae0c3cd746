/**
 * Proves: history that is brought into a table with a key, in whatever mode, between live changes, replays of dead letters,
 * rewrites and processes that die at any step, leaves the table as if it had come first: the fold of the whole log.
 */
import { keyedHistories } from "../../support/keyed-histories.ts";

keyedHistories({
  hasHistory: true,
  verdict: /^equal$/,
  counted: ["brought", "letters", "replayed", "superseded", "crashes", "rewritten", "grown"],
});
