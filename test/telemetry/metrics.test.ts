/** Proves: metrics render as Prometheus text that a scraper can read, whatever the labels hold, within their bound. */
import { describe, expect, test } from "vitest";
import { systemRuntime } from "../../src/base/runtime.ts";
import { MetricRegistry } from "../../src/telemetry/metrics.ts";
import { metricsTable } from "../../src/telemetry/metrics-table.ts";
import { openProcessMetrics } from "../../src/telemetry/process-metrics.ts";

const table = {
  hits: { name: "hits_total", kind: "counter", help: "Hits\nand \\ more.", labels: ["page"] },
  depth: { name: "depth", kind: "gauge", help: "Depth.", labels: [] },
  seconds: { name: "wait_seconds", kind: "histogram", help: "Waits.", labels: ["of"], buckets: [0.1, 1] },
} as const;

describe("rendering", () => {
  test("HELP, TYPE and escaped labels", () => {
    const registry = new MetricRegistry(table, { seriesMax: 10 });
    registry.metrics.hits.add(2, { page: 'a"b\\c\nd' });
    registry.metrics.hits.add(1, { page: 'a"b\\c\nd' });
    registry.metrics.depth.set(-1.5);
    expect(registry.render()).toBe(`# HELP hits_total Hits\\nand \\\\ more.
# TYPE hits_total counter
hits_total{page="a\\"b\\\\c\\nd"} 3
# HELP depth Depth.
# TYPE depth gauge
depth -1.5
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
# HELP inlet_metrics_dropped_total Observations whose label combination was past metrics.series.max.
# TYPE inlet_metrics_dropped_total counter
inlet_metrics_dropped_total 0
`);
  });

  test("a histogram's buckets cumulate up to +Inf", () => {
    const registry = new MetricRegistry(table, { seriesMax: 10 });
    for (const value of [0.1, 0.05, 0.5, 7]) registry.metrics.seconds.observe(value, { of: "x" });
    const lines = registry
      .render()
      .split("\n")
      .filter((line) => line.startsWith("wait_seconds"));
    expect(lines).toEqual([
      'wait_seconds_bucket{of="x",le="0.1"} 2',
      'wait_seconds_bucket{of="x",le="1"} 3',
      'wait_seconds_bucket{of="x",le="+Inf"} 4',
      'wait_seconds_sum{of="x"} 7.65',
      'wait_seconds_count{of="x"} 4',
    ]);
  });

  test("series past the bound are counted, not kept", () => {
    const registry = new MetricRegistry(table, { seriesMax: 2 });
    for (const page of ["a", "b", "c", "d", "a"]) registry.metrics.hits.add(1, { page });
    const text = registry.render();
    expect(text).toContain('hits_total{page="a"} 2');
    expect(text).not.toContain('page="c"');
    expect(text).toContain("inlet_metrics_dropped_total 2");
  });

  test("what a collector names is computed at each scrape, and forgotten when gone", () => {
    const registry = new MetricRegistry(table, { seriesMax: 10 });
    const pages = new Map([
      ["a", 1],
      ["b", 2],
    ]);
    const collector = registry.collect(["hits"], ({ hits }) => {
      for (const [page, count] of pages) hits.add(count, { page });
    });
    expect(registry.render()).toContain('hits_total{page="b"} 2');
    pages.delete("b");
    expect(registry.render()).not.toContain('page="b"');
    expect(registry.render()).toContain('hits_total{page="a"} 1');
    collector[Symbol.dispose]();
    pages.set("c", 3);
    expect(registry.render()).not.toContain('page="c"');
  });
});

describe("the table", () => {
  test("names are unique, legal, and end as Prometheus asks", () => {
    const declarations = Object.values(metricsTable);
    expect(declarations.length).toBeGreaterThan(40);
    expect(new Set(declarations.map(({ name }) => name)).size).toBe(declarations.length);
    for (const { name, kind, help } of declarations) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      if (kind === "counter") expect(name).toMatch(/_total$/);
      if (kind === "histogram") expect(name).toMatch(/_seconds$/);
      expect(help).toMatch(/\.$/);
    }
  });

  test("the whole table renders, each line of the exposition format", () => {
    const registry = new MetricRegistry(metricsTable, { seriesMax: 100 });
    using _process = openProcessMetrics(registry, systemRuntime().clock);
    registry.metrics.storeSeconds.observe(0.002, { operation: "get" });
    const lines = registry.render().trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(80);
    const sample = /^[a-z_:][a-z0-9_:]*(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$/;
    for (const line of lines) if (!line.startsWith("# ")) expect(line).toMatch(sample);
    expect(lines.find((line) => line.startsWith("process_resident_memory_bytes "))).toMatch(/ \d{6,}$/);
  });
});
