/** RFC 3339 dates and times as numbers, in the proleptic Gregorian calendar, without a clock or a time zone database. */

const dateTime = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;
const date = /^(\d{4})-(\d\d)-(\d\d)$/;

/** Microseconds since the epoch, cut below a microsecond; undefined when the text is no RFC 3339 time with an offset. */
export function parseDateTime(text: string): bigint | undefined {
  return microsOf(text);
}

/** The same of a time without an offset. */
export function parseLocalDateTime(text: string): bigint | undefined {
  return isLocal.test(text) ? microsOf(`${text}Z`) : undefined;
}

/** Microseconds since midnight, cut below one. A leap second at the day's end is no time of that day. */
export function parseTime(text: string): bigint | undefined {
  const micros = isTime.test(text) ? microsOf(`1970-01-01T${text}Z`) : undefined;
  return micros !== undefined && micros < dayMicros ? micros : undefined;
}

const dayMicros = 86_400_000_000n;

const isLocal = /^[^Zz+]{11,}$/;
const isTime = /^\d\d:\d\d:\d\d(\.\d+)?$/;

function microsOf(text: string): bigint | undefined {
  const match = dateTime.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const days = daysFromCivil(Number(year), Number(month), Number(day));
  const [hours, minutes, seconds] = [Number(hour), Number(minute), Number(second)];
  // A leap second is the first of the next minute: Iceberg counts none.
  if (days === undefined || hours > 23 || minutes > 59 || seconds > 60) return undefined;
  const offset = offsetMinutes(zone as string);
  if (offset === undefined) return undefined;
  const total = ((days * 24 + hours) * 60 + minutes - offset) * 60 + seconds;
  return BigInt(total) * 1_000_000n + BigInt((fraction ?? "").slice(0, 6).padEnd(6, "0"));
}

/** Days since the epoch. */
export function parseDate(text: string): number | undefined {
  const match = date.exec(text);
  return match === null ? undefined : daysFromCivil(Number(match[1]), Number(match[2]), Number(match[3]));
}

function offsetMinutes(zone: string): number | undefined {
  if (zone === "Z" || zone === "z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Hinnant's days_from_civil; undefined for a day that its month has not. */
export function daysFromCivil(year: number, month: number, day: number): number | undefined {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const length = month === 2 && isLeap ? 29 : (monthLengths[month - 1] ?? 0);
  if (day < 1 || day > length) return undefined;
  const shifted = month <= 2 ? year - 1 : year; // Years begin in March, so that a leap day ends one.
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
