import type { Generator } from "../generator.ts";

export const apiVersions: Generator<"apiVersions"> = (draw) => ({
  api: "apiVersions",
  version: draw.version("apiVersions"),
  connection: "main",
  ...(draw.chance(0.2) ? { mangle: { kind: "version", to: draw.of([-1, 5, 99]) } } : {}),
  body: {
    clientSoftwareName: draw.mostly("differ", ["", "-a", "a b", "a".repeat(300), "ü"]),
    clientSoftwareVersion: draw.mostly("1.0", ["", ".1", "1.", "1_0"]),
  },
});
