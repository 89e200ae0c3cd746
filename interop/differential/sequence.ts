/** Sequences from a seed: topics to begin with, then steps that one theme prefers, so that state is reached and matters. */
import type { ApiName } from "../../src/protocol/api-table.ts";
import { type Asked, Draw } from "./draw.ts";
import type { Story } from "./generator.ts";
import { generators, themes } from "./generators.ts";
import { fresh, type Step } from "./step.ts";

export interface Sequence {
  readonly seed: number;
  readonly theme: Theme;
  readonly steps: readonly Step[];
}

const stepsMin = 3;
const stepsMax = 14;

export type Theme = keyof typeof themes;

export const themeNames = Object.keys(themes) as readonly Theme[];

/** Of a theme that the seed chooses, unless one is given. */
export function sequenceOf(seed: number, served: ReadonlySet<ApiName>, only?: Theme): Sequence {
  const draw = new Draw(seed);
  const drawn = draw.of(themeNames);
  const theme = only ?? drawn;
  const preferred: readonly (ApiName | Story)[] = themes[theme];
  const all = Object.keys(generators) as ApiName[];
  const steps: Step[] = [...setup(draw)];
  const count = stepsMin + draw.int(stepsMax - stepsMin);
  while (steps.length < count + 1) {
    const next = draw.chance(0.9) ? draw.of(preferred) : draw.of(all);
    if (typeof next !== "string") {
      steps.push(...next(draw)); // Each step needs those before it.
      continue;
    }
    const made = generators[next]?.(draw) ?? [];
    for (const step of Array.isArray(made) ? made : [made]) steps.push(spoiled(draw, step as Step));
  }
  return { seed, theme, steps: steps.filter(({ api }) => served.has(api)) };
}

/** What it takes to send one API in one version. */
export function sequenceFor(seed: number, asked: Asked): readonly Step[] {
  const draw = new Draw(seed, asked);
  const made = generators[asked.api]?.(draw) ?? [];
  return [...setup(draw), ...(Array.isArray(made) ? made : [made])];
}

/** A newer version of ApiVersions is answered; a connection that ends takes what Kafka knows of its client's telemetry with it. */
const wellFormed: ReadonlySet<ApiName> = new Set(["apiVersions", "getTelemetrySubscriptions", "pushTelemetry"]);

/** Now and then a request is not even a request. */
function spoiled(draw: Draw, step: Step): Step {
  if (!draw.chance(0.01) || wellFormed.has(step.api)) return step;
  const mangle = draw.chance(0.5)
    ? ({ kind: "cut", bytes: 1 + draw.int(6) } as const)
    : ({ kind: "version", to: draw.of([-1, 0, 1, 2, 3, 99]) } as const);
  return { ...step, mangle };
}

function setup(draw: Draw): readonly Step[] {
  const configs = draw.of([
    [],
    [],
    [],
    [{ name: "message.timestamp.type", value: "LogAppendTime" }],
    [{ name: "cleanup.policy", value: "compact" }],
    [{ name: "max.message.bytes", value: "300" }],
    [{ name: "compression.type", value: "gzip" }],
  ]);
  const topic = (name: string, numPartitions: number, its: typeof configs) => ({
    name,
    numPartitions,
    replicationFactor: 1,
    assignments: [],
    configs: its,
  });
  return [
    {
      api: "createTopics",
      version: 7,
      connection: "main",
      body: { topics: [topic(`${fresh}a`, 2, []), topic(`${fresh}b`, 1, configs)], timeoutMs: 10_000 },
    },
  ];
}
