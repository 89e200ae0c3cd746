/**
 * Loaded into a process before everything else (`node --import`), it makes time pass faster: JavaScript's clocks and timers, not
 * the system's. All processes that are told the same beginning agree on the hour, however often they are started.
 */
const speed = Number(process.env["FAST_TIME_SPEED"]);
const beganMs = Number(process.env["FAST_TIME_BEGAN_MS"]);
const { now } = Date;
const monotonic = performance.now.bind(performance);
const after = globalThis.setTimeout;

Date.now = () => Math.floor(beganMs + (now() - beganMs) * speed);
performance.now = () => monotonic() * speed;
const fastAfter = (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]): NodeJS.Timeout =>
  after(callback, (delayMs ?? 0) / speed, ...args);
globalThis.setTimeout = Object.assign(fastAfter, after);
