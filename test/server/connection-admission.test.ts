/** Proves: each of the three bounds holds, and leaving makes room. */
import { expect, test } from "vitest";
import { ConnectionAdmission } from "../../src/server/connection-admission.ts";

const admission = (limits: Partial<ConstructorParameters<typeof ConnectionAdmission>[0]>): ConnectionAdmission =>
  new ConnectionAdmission({ connectionsMax: 100, connectionsPerHostMax: 100, connectionsPerSecondMax: 100, ...limits });

test("all together", () => {
  const gate = admission({ connectionsMax: 2 });
  expect([gate.enter("a", 0), gate.enter("b", 0), gate.enter("c", 0)]).toEqual([undefined, undefined, "connections"]);
  gate.leave("a");
  expect(gate.enter("c", 0)).toBeUndefined();
});

test("from one address", () => {
  const gate = admission({ connectionsPerHostMax: 1 });
  expect([gate.enter("a", 0), gate.enter("a", 0), gate.enter("b", 0)]).toEqual([
    undefined,
    "connections-per-host",
    undefined,
  ]);
  gate.leave("a");
  expect(gate.enter("a", 0)).toBeUndefined();
});

test("in a second", () => {
  const gate = admission({ connectionsPerSecondMax: 2 });
  expect([gate.enter("a", 0), gate.enter("a", 0), gate.enter("a", 0)]).toEqual([
    undefined,
    undefined,
    "connections-per-second",
  ]);
  expect(gate.enter("a", 499)).toBe("connections-per-second");
  expect(gate.enter("a", 1000)).toBeUndefined();
});
