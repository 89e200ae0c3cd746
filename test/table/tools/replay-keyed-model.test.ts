/**
 * Proves: whenever dead letters of a table with a key are replayed, in whatever mode, over topic partitions, rounds, rewrites, moves
 * of rows to other keys, logs that have let go of records and processes that die at any step, the table is the fold of the
 * records that became rows, in the order of their offsets: no letter takes the place of what came after it.
 */
import { keyedHistories } from "../../support/keyed-histories.ts";

keyedHistories({
  hasHistory: false,
  verdict: /^(equal|unproven)$/,
  counted: ["letters", "replayed", "superseded", "undecided", "crashes", "moves", "trims", "rewritten", "grown"],
});
