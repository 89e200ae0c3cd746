/** Other people's Go: programs of modules, and the tests of modules as programs. Go itself is installed where it is missing. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { aptInstall, command, once, versions } from "./tools.ts";

const env = { GOFLAGS: "-mod=mod -buildvcs=false" };

/** Where Go is: on the path, where its own archive puts it, or installed now. */
async function goTool(): Promise<string> {
  for (const go of ["go", "/usr/local/go/bin/go"]) {
    const isHere = await command(go, ["version"]).then(
      () => true,
      () => false,
    );
    if (isHere) return go;
  }
  await aptInstall("golang-go");
  return "go";
}

/** A program of Go in interop/, built with one module of somebody else's. */
export async function goProgram(name: string, module: string, version: string): Promise<string> {
  const directory = await once(`go-${name}-${version}`, async (at) => {
    copyFileSync(join(import.meta.dirname, `${name}.go`), join(at, "main.go"));
    const go = await goTool();
    await command(go, ["mod", "init", "inlet/interop"], { cwd: at, env });
    await command(go, ["get", `${module}@v${version}`], { cwd: at, env });
    await command(go, ["build", "-o", join(at, "program"), "."], { cwd: at, env });
  });
  return join(directory, "program");
}

/** Tests as one program, and the folder of their source, which some of them read. */
export interface GoTests {
  readonly program: string;
  readonly source: string;
}

/** The tests of franz-go's kgo package. */
export async function franzGoTests(): Promise<GoTests> {
  const kgo = "github.com/twmb/franz-go/pkg/kgo";
  const go = await goTool();
  const directory = await once("franz-go-tests", async (at) => {
    await command(go, ["mod", "init", "inlet/interop"], { cwd: at, env });
    await command(go, ["get", "-t", `${kgo}@v${versions.franzGo}`], { cwd: at, env });
    await command(go, ["test", "-c", "-o", join(at, "kgo.test"), kgo], { cwd: at, env });
  });
  const source = await command(go, ["list", "-f", "{{.Dir}}", kgo], { cwd: directory, env });
  return { program: join(directory, "kgo.test"), source: source.trim() };
}

/** Sarama's functional tests, of topics with one copy, through proxies at 9191 to 9195 instead of 29091 to 29095. */
export async function saramaTests(): Promise<GoTests> {
  const edits = ["s/ReplicationFactor:( *)[23]/ReplicationFactor:\\11/", "s/29090\\+i/9190+i/"];
  return await editedTests("sarama", `github.com/IBM/sarama@v${versions.sarama}`, edits, ["-tags", "functional"]);
}

/** kafka-go's tests, which want a broker at 9092 and, with SASL, at 9093. */
export async function kafkaGoTests(): Promise<GoTests> {
  return await editedTests("kafka-go", `github.com/segmentio/kafka-go@v${versions.kafkaGo}`, [], []);
}

/** `edits` are sed's, of the tests in the module's own package. */
async function editedTests(
  name: string,
  module: string,
  edits: readonly string[],
  flags: readonly string[],
): Promise<GoTests> {
  const directory = await once(`${name}-tests`, async (at) => {
    const go = await goTool();
    const { Dir } = JSON.parse(await command(go, ["mod", "download", "-json", module], { cwd: at })) as { Dir: string };
    await command("cp", ["-r", Dir, join(at, "source")]);
    await command("chmod", ["-R", "u+w", join(at, "source")]);
    const expressions = edits.flatMap((edit) => ["-e", edit]);
    const tests = 'sed -i -E "$@" *_test.go';
    if (edits.length > 0) await command("sh", ["-c", tests, "sed", ...expressions], { cwd: join(at, "source") });
    await command(go, ["test", "-c", ...flags, "-o", join(at, "tests"), "."], { cwd: join(at, "source"), env });
  });
  return { program: join(directory, "tests"), source: join(directory, "source") };
}

/** Shopify's proxy that breaks connections when told to, by HTTP. */
export async function toxiproxyProgram(): Promise<string> {
  const directory = await once("toxiproxy", async (at) => {
    const module = `github.com/Shopify/toxiproxy/v2/cmd/server@v${versions.toxiproxy}`;
    await command(await goTool(), ["install", module], { env: { GOBIN: at } });
  });
  return join(directory, "server");
}

/** Runs compiled tests with `-test.v`; returns what they print. Rejects with the names of those that failed, and what these said. */
export async function runGoTests(...[program, args, options]: Parameters<typeof command>): Promise<string> {
  try {
    return await command(program, ["-test.v", ...args], options);
  } catch (cause) {
    const output = ((cause as Error).cause as { readonly stdout?: string }).stdout ?? "";
    const failed = goTestsNamed(output, "FAIL");
    if (failed.length === 0) throw cause;
    throw new Error(`failed: ${failed.join(", ")}\n${failed.map((name) => saidBy(name, output)).join("")}`, { cause });
  }
}

/** The lines below each "=== NAME test". */
function saidBy(test: string, output: string): string {
  const parts = output.split(/^=== \w+ +/m).filter((part) => /^\S*/.exec(part)?.[0] === test);
  return parts.map((part) => `${part.trimEnd()}\n`).join("");
}

/** Names of tests by how they ended: "PASS", "FAIL" or "SKIP". */
export function goTestsNamed(output: string, state: "PASS" | "FAIL" | "SKIP"): readonly string[] {
  return Array.from(output.matchAll(new RegExp(`^\\s*--- ${state}: (\\S+)`, "gm")), ([, name]) => name as string);
}
