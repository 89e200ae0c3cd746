import type { Generator } from "../generator.ts";

export const apiVersions: Generator<"apiVersions"> = (draw) => {
  const version = draw.version("apiVersions");
  // A version that is not known yet is taken for one with the header of the newest.
  const isNewer = version >= 3 && draw.chance(0.3);
  return {
    api: "apiVersions",
    version,
    connection: "main",
    ...(isNewer ? { mangle: { kind: "version", to: draw.of([5, 99]) } } : {}),
    body: {
      clientSoftwareName: draw.mostly("differ", ["", "-a", "a b", "a".repeat(300), "ü"]),
      clientSoftwareVersion: draw.mostly("1.0", ["", ".1", "1.", "1_0"]),
    },
  };
};
