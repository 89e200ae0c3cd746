/**
 * Metrics in memory, rendered as Prometheus text (exposition format 0.0.4). Every metric holds a bounded number of series:
 * a label value that comes from outside, such as a topic's name, cannot grow the process without end.
 */
import { assert } from "../base/errors.ts";
import type { Counter, Gauge, Histogram, Labels } from "../base/telemetry.ts";

export interface MetricDeclaration {
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Of a histogram: upper bounds, rising, in the unit that the name ends with. +Inf is added. */
  readonly buckets?: readonly number[];
}

export type MetricTable = Readonly<Record<string, MetricDeclaration>>;

/** A handle a declaration, under the same name. */
export type MetricsOf<Table extends MetricTable> = {
  readonly [Name in keyof Table]: Table[Name]["kind"] extends "counter"
    ? Counter
    : Table[Name]["kind"] extends "gauge"
      ? Gauge
      : Histogram;
};

export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

export class MetricRegistry<Table extends MetricTable> {
  readonly metrics: MetricsOf<Table>;
  readonly #families = new Map<string, Family>();
  readonly #collectors = new Set<() => void>();
  #seriesDropped = 0;

  constructor(table: Table, options: { readonly seriesMax: number }) {
    const handles = Object.entries(table).map(([key, declaration]) => {
      assert(!this.#families.has(declaration.name), `metric ${declaration.name} is declared twice`);
      const family = new Family(declaration, options.seriesMax, () => {
        this.#seriesDropped += 1;
      });
      this.#families.set(declaration.name, family);
      return [key, family];
    });
    this.metrics = Object.fromEntries(handles);
  }

  /**
   * Calls back at each scrape to set gauges (and counters that somebody else counts) from what is true then. The gauges named
   * are emptied before, so that what no longer exists is no longer shown.
   */
  collect(keys: readonly (keyof Table & string)[], collector: (metrics: MetricsOf<Table>) => void): Disposable {
    const families = keys.map((key) => this.metrics[key] as unknown as Family);
    const run = (): void => {
      for (const family of families) family.clear();
      collector(this.metrics);
    };
    this.#collectors.add(run);
    return { [Symbol.dispose]: () => void this.#collectors.delete(run) };
  }

  render(): string {
    for (const collector of this.#collectors) collector();
    const dropped = new Family(droppedDeclaration, 1, () => undefined);
    dropped.add(this.#seriesDropped);
    return [...this.#families.values(), dropped].map((family) => family.render()).join("");
  }
}

const droppedDeclaration: MetricDeclaration = {
  name: "inlet_metrics_dropped_total",
  kind: "counter",
  help: "Observations whose label combination was past metrics.series.max.",
  labels: [],
};

interface Series {
  readonly labelText: string;
  /** Of a counter or gauge; the sum of a histogram. */
  value: number;
  count: number;
  /** Observations at or below each bound, not cumulated. */
  readonly buckets: number[];
}

/** All series of one name. Which of the three interfaces a caller sees is decided by MetricsOf. */
class Family implements Counter, Gauge, Histogram {
  readonly #declaration: MetricDeclaration;
  readonly #seriesMax: number;
  readonly #dropped: () => void;
  #series = new Map<string, Series>();
  /** Those that the last `clear` emptied: most of them are set again right after it, with the same texts. */
  #cleared: ReadonlyMap<string, Series> = new Map();

  constructor(declaration: MetricDeclaration, seriesMax: number, dropped: () => void) {
    assert(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(declaration.name), `no metric name: ${declaration.name}`);
    for (const label of declaration.labels) assert(/^(?!__)[a-zA-Z_]\w*$/.test(label), `no label name: ${label}`);
    this.#declaration = declaration;
    this.#seriesMax = seriesMax;
    this.#dropped = dropped;
    if (declaration.labels.length === 0 && declaration.kind !== "gauge") this.#seriesOf(noLabels); // A count of nothing is 0, not absent.
  }

  add(amount: number, labels: Labels = noLabels): void {
    assert(amount >= 0, `counter ${this.#declaration.name} cannot fall`);
    const series = this.#seriesOf(labels);
    if (series !== undefined) series.value += amount;
  }

  set(value: number, labels: Labels = noLabels): void {
    const series = this.#seriesOf(labels);
    if (series !== undefined) series.value = value;
  }

  observe(value: number, labels: Labels = noLabels): void {
    const series = this.#seriesOf(labels);
    if (series === undefined) return;
    series.value += value;
    series.count += 1;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) series.buckets[bucket] = (series.buckets[bucket] as number) + 1;
  }

  clear(): void {
    this.#cleared = this.#series;
    this.#series = new Map();
  }

  render(): string {
    const { name, kind, help } = this.#declaration;
    const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`];
    for (const series of this.#series.values()) {
      if (kind === "histogram") lines.push(...this.#histogramLines(series));
      else lines.push(`${name}${braces(series.labelText)} ${numberText(series.value)}`);
    }
    return `${lines.join("\n")}\n`;
  }

  get #bounds(): readonly number[] {
    return this.#declaration.buckets ?? [];
  }

  #seriesOf(labels: Labels): Series | undefined {
    const key = this.#keyOf(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= this.#seriesMax) {
      this.#dropped();
      return undefined;
    }
    const labelText = this.#cleared.get(key)?.labelText ?? this.#textOf(labels);
    const series = { labelText, value: 0, count: 0, buckets: this.#bounds.map(() => 0) };
    this.#series.set(key, series);
    return series;
  }

  #textOf(labels: Labels): string {
    return this.#declaration.labels.map((label) => `${label}="${escapeLabel(labels[label] ?? "")}"`).join(",");
  }

  /** The values of all labels. Each request asks for it, most often for one label's. */
  #keyOf(labels: Labels): string {
    let key: string | undefined;
    for (const label of this.#declaration.labels) {
      const value = labels[label];
      assert(value !== undefined, `metric ${this.#declaration.name} needs label ${label}`);
      key = key === undefined ? value : `${key.length}:${key}${value}`; // No two lists of values give the same text.
    }
    return key ?? "";
  }

  #histogramLines(series: Series): readonly string[] {
    const { name } = this.#declaration;
    let below = 0;
    const line = (bound: string, count: number): string => {
      const labels = series.labelText === "" ? "" : `${series.labelText},`;
      return `${name}_bucket{${labels}le="${bound}"} ${count}`;
    };
    const lines = this.#bounds.map((bound, index) => {
      below += series.buckets[index] as number;
      return line(numberText(bound), below);
    });
    const tail = braces(series.labelText);
    return [
      ...lines,
      line("+Inf", series.count),
      `${name}_sum${tail} ${numberText(series.value)}`,
      `${name}_count${tail} ${series.count}`,
    ];
  }
}

const noLabels: Labels = {};

function braces(labelText: string): string {
  return labelText === "" ? "" : `{${labelText}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
