/** What a generator is: draws one request of its API, or several that belong together. */
import type { ApiName } from "../../src/protocol/api-table.ts";
import type { Draw } from "./draw.ts";
import type { Step, StepOf } from "./step.ts";

export type Generator<Name extends ApiName> = (draw: Draw) => StepOf<Name> | readonly Step[];

export type Generators = { readonly [Name in ApiName]?: Generator<Name> };

/** Steps of several APIs that make sense together. */
export type Story = (draw: Draw) => readonly Step[];
