/** Processes whose time passes faster than ours: see fast-time-preload.ts. */
import { join } from "node:path";

export interface FastTime {
  readonly speed: number;
  /** When the fast and the real time were the same. */
  readonly beganMs: number;
}

/** The environment of a process whose time is fast. */
export function fastEnvironment({ speed, beganMs }: FastTime): NodeJS.ProcessEnv {
  return {
    NODE_OPTIONS: `--import=${join(import.meta.dirname, "fast-time-preload.ts")}`,
    FAST_TIME_SPEED: String(speed),
    FAST_TIME_BEGAN_MS: String(beganMs),
  };
}

export function fastNow({ speed, beganMs }: FastTime): number {
  return Math.floor(beganMs + (Date.now() - beganMs) * speed);
}
