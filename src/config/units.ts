/** Sizes and durations as people write them. */

const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

const msUnits: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };

/** Source of a regular expression for editors: what parseBytes takes when it is text. */
export const bytesPattern = `^\\d+(\\.\\d+)?\\s*(${Object.keys(byteUnits).join("|")})?$`;
export const msPattern = `^\\d+(\\.\\d+)?\\s*(${Object.keys(msUnits).join("|")})?$`;

/** undefined when the text is none, or no whole number of bytes. */
export function parseBytes(text: string): number | undefined {
  return parseUnit(text, byteUnits);
}

/** undefined when the text is none, or no whole number of milliseconds. */
export function parseMs(text: string): number | undefined {
  return parseUnit(text, msUnits);
}

/** With the largest unit that divides it: 67108864 → "64MiB". */
export function formatBytes(bytes: number): string {
  return formatUnit(bytes, { TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 });
}

export function formatMs(ms: number): string {
  return formatUnit(ms, { d: 86_400e3, h: 3_600e3, m: 60e3, s: 1e3, ms: 1 });
}

function parseUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  if (match === null) return undefined;
  const unit = match[2] === "" ? 1 : Object.hasOwn(units, match[2] as string) ? units[match[2] as string] : undefined;
  if (unit === undefined) return undefined;
  const value = Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? value : undefined;
}

function formatUnit(value: number, largestFirst: Readonly<Record<string, number>>): string {
  const [unit, size] = Object.entries(largestFirst).find(([, each]) => value !== 0 && value % each === 0) ?? ["", 1];
  return `${value / size}${unit}`;
}
