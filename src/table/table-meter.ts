/** What a table's worker shows of itself. */
import type { Counter, Gauge, Histogram } from "../base/telemetry.ts";
import type { TableInfo } from "../metadata/image.ts";
import type { WrittenRound } from "./round-writer.ts";
import type { PartitionView } from "./rounds.ts";

export interface CompactorMetrics {
  readonly translationLag: Gauge;
  readonly commitLag: Gauge;
  readonly tableRows: Counter;
  readonly tableFiles: Counter;
  readonly tableFileBytes: Counter;
  readonly tableInvalid: Counter;
  readonly tableCrossingKeys: Counter;
  readonly tableCommits: Counter;
  readonly tableCommitSeconds: Histogram;
  readonly tableState: Gauge;
}

export class TableMeter {
  readonly #topic: string;
  readonly #metrics: CompactorMetrics;

  constructor(topic: string, metrics: CompactorMetrics) {
    this.#topic = topic;
    this.#metrics = metrics;
  }

  counted({ counts }: WrittenRound): void {
    const topic = this.#topic;
    const metrics = this.#metrics;
    metrics.tableRows.add(counts.rows, { topic });
    metrics.tableFiles.add(counts.files, { topic });
    metrics.tableFileBytes.add(counts.fileBytes, { topic });
    metrics.tableCrossingKeys.add(counts.crossingKeys, { topic });
    if (counts.deadLetters > 0) metrics.tableInvalid.add(counts.deadLetters, { topic, cause: "dead-letter" });
    if (counts.dropped > 0) metrics.tableInvalid.add(counts.dropped, { topic, cause: "skipped" });
  }

  committed(isCommitted: boolean, seconds: number): void {
    const topic = this.#topic;
    this.#metrics.tableCommits.add(1, { topic, outcome: isCommitted ? "committed" : "failed" });
    this.#metrics.tableCommitSeconds.observe(seconds, { topic });
  }

  lag(table: TableInfo, views: readonly PartitionView[]): void {
    const topic = this.#topic;
    const metrics = this.#metrics;
    for (const state of ["running", "paused", "diverged"] as const) {
      metrics.tableState.set(table.state === state ? 1 : 0, { topic, state });
    }
    for (const { partition, logStart, lastStable } of views) {
      const translated = table.translatedTo.get(partition) ?? logStart;
      const committed = table.committedTo.get(partition) ?? logStart;
      const labels = { topic, partition: String(partition) };
      metrics.translationLag.set(Math.max(0, lastStable - translated), labels);
      metrics.commitLag.set(Math.max(0, translated - committed), labels);
    }
  }
}
