/** One picture of a day: a panel a figure, over the same hours, with grey where the catalog or the broker was away. Pure. */

export const sampleColumns = [
  "hour",
  "catalogIsAway",
  "brokerIsAway",
  "dataFilesMax",
  "snapshotsMax",
  "metadataBytesMax",
  "filesOnDisk",
  "residentMib",
  "lagRecords",
] as const;
export type DaySample = Readonly<Record<(typeof sampleColumns)[number], number>>;

interface Panel {
  readonly name: string;
  readonly value: (sample: DaySample) => number;
  /** A line that must not be reached. */
  readonly limit?: number;
}

const panels: readonly Panel[] = [
  { name: "live data files of the table that has most", value: ({ dataFilesMax }) => dataFilesMax },
  { name: "snapshots of the table that has most", value: ({ snapshotsMax }) => snapshotsMax, limit: 1000 },
  { name: "largest metadata file, MB", value: ({ metadataBytesMax }) => metadataBytesMax / 1e6, limit: 10 },
  { name: "files of all tables in the store, thousands", value: ({ filesOnDisk }) => filesOnDisk / 1000 },
  { name: "memory of the broker, MiB", value: ({ residentMib }) => residentMib },
  { name: "records in the log and in no snapshot, thousands", value: ({ lagRecords }) => lagRecords / 1000 },
];

const [width, panelHeight, gap, left, top] = [900, 110, 46, 20, 60] as const;

export function drawDay(title: string, samples: readonly DaySample[]): string {
  const hours = Math.max(...samples.map(({ hour }) => hour), 1e-9);
  const x = (hour: number): number => left + (hour / hours) * (width - 2 * left);
  const height = top + panels.length * (panelHeight + gap);
  const drawn = panels.map((panel, at) => draw(panel, samples, x, top + at * (panelHeight + gap)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    `<text x="${left}" y="26" font-size="16">${title}</text>`,
    `<text x="${left}" y="44" fill="#666">grey: the catalog is away; red: the broker is started again</text>`,
    ...drawn,
    ...hourMarks(hours).map((hour) => `<text x="${x(hour)}" y="${height - 6}" fill="#666">${hour} h</text>`),
    "</svg>",
    "",
  ].join("\n");
}

function draw(panel: Panel, samples: readonly DaySample[], x: (hour: number) => number, from: number): string {
  // Nothing can be asked of who is away.
  const seen = samples.filter((sample) => sample.brokerIsAway === 0 && sample.catalogIsAway === 0);
  const shown = panel.name.startsWith("records") ? samples.filter(({ brokerIsAway }) => brokerIsAway === 0) : seen;
  const most = Math.max(...shown.map(panel.value), 1e-9);
  const y = (value: number): number => from + panelHeight - (value / most) * panelHeight;
  const points = shown.map((sample) => `${x(sample.hour).toFixed(1)},${y(panel.value(sample)).toFixed(1)}`);
  const away = samples.flatMap((sample, at) => {
    const since = x(samples[at - 1]?.hour ?? 0);
    const colour = sample.brokerIsAway === 1 ? "#f3b0b0" : sample.catalogIsAway === 1 ? "#ddd" : undefined;
    if (colour === undefined) return [];
    const wide = (x(sample.hour) - since).toFixed(1);
    return [`<rect x="${since.toFixed(1)}" y="${from}" width="${wide}" height="${panelHeight}" fill="${colour}"/>`];
  });
  const limit = panel.limit === undefined ? "" : `, allowed ${panel.limit}`;
  return [
    `<text x="${left}" y="${from - 6}">${panel.name}: at most ${figure(most)}${limit}</text>`,
    ...away,
    `<line x1="${left}" y1="${from + panelHeight}" x2="${width - left}" y2="${from + panelHeight}" stroke="#999"/>`,
    `<polyline points="${points.join(" ")}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>`,
  ].join("\n");
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2);
}

/** At most nine of them. */
function hourMarks(hours: number): readonly number[] {
  const step = [0.25, 0.5, 1, 2, 3, 6].find((each) => hours / each <= 8) ?? 12;
  return Array.from({ length: Math.floor(hours / step) + 1 }, (_, at) => at * step);
}
