import { setting } from "../../src/base/settings.ts";

export const telemetry = {
  loggingLevel: setting({
    key: "logging.level",
    type: "string",
    default: "info",
    oneOf: ["debug", "info", "warn", "error", "silent"],
    doc: "Least level of the lines that are logged.",
  }),
  loggingRepeatsMax: setting({
    key: "logging.repeats.max",
    type: "integer",
    default: 10,
    min: 1,
    max: 1_000_000,
    doc: "Lines of one level and message in each logging.repeats.ms; the rest is counted in the next line instead.",
  }),
  loggingRepeatsMs: setting({
    key: "logging.repeats.ms",
    type: "ms",
    default: 10_000,
    min: 1,
    max: 3_600_000,
    doc: "Window of logging.repeats.max.",
  }),
  metricsSeriesMax: setting({
    key: "metrics.series.max",
    type: "integer",
    default: 10_000,
    min: 1,
    max: 10_000_000,
    doc: "Label combinations kept for one metric; further ones are counted as dropped.",
  }),
};
