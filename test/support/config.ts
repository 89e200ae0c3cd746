/** Configurations for tests: from a text and settings, without the environment and the files of the machine. */
import { type Config, readConfig } from "../../src/config.ts";

/** `settings` are flags without their dashes. */
export function configOf(text: string, settings: Readonly<Record<string, string>> = {}, name = "inlet.yaml"): Config {
  return readConfig({
    file: { name, text },
    environment: {},
    flags: new Map(Object.entries(settings).map(([setting, value]) => [`--${setting}`, value])),
    readFile: () => undefined,
  });
}

/** Free ports for all listeners, a directory of the test's own, and no lines on standard output. */
export function inProcess(directory: string): Readonly<Record<string, string>> {
  return {
    "kafka-port": "0",
    "registry-port": "0",
    "catalog-port": "0",
    "http-port": "0",
    "data-directory": directory,
    "logging-level": "silent",
  };
}
