/** Whether two listeners of the broker would take one port. Pure. */
import type { Settings } from "../../schemas/config.ts";
import type { Problem } from "./problem.ts";
import type { ListenerSettings } from "./security.ts";
import { locate, type Tree } from "./tree.ts";

interface Place {
  /** Of the settings: "http". */
  readonly path: string;
  readonly host: string;
  readonly port: number;
}

export function checkPorts(settings: Settings, listeners: readonly ListenerSettings[], tree: Tree): readonly Problem[] {
  const places: readonly Place[] = [
    ...listeners,
    ...(settings.registryEnabled
      ? [{ path: "registry", host: settings.registryHost, port: settings.registryPort }]
      : []),
    { path: "catalog", host: settings.catalogHost, port: settings.catalogPort },
    { path: "http", host: settings.httpHost, port: settings.httpPort },
  ];
  return places.flatMap((place, index) => {
    const rival = places.slice(0, index).find((other) => meet(other, place));
    if (rival === undefined) return [];
    const message = `${rival.path}.port and ${place.path}.port are both ${place.port}`;
    const said = [place, rival].map(({ path }) => locate(tree, [...path.split("."), "port"]));
    // At the one that the file says: the other may be a default.
    const origin = said.find((at) => at.kind !== "file" || at.line > 1 || at.column > 1) ?? locate(tree, []);
    return [{ origin, message, fix: "give one of them another" }];
  });
}

function meet(a: Place, b: Place): boolean {
  return a.port !== 0 && a.port === b.port && (a.host === b.host || isEvery(a.host) || isEvery(b.host));
}

function isEvery(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
