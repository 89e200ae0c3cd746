/** One Spark that runs SQL statements when it is asked to: starting it takes longer than what it does. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { python, sparkJars, versions } from "./tools.ts";

export type Rows = readonly (readonly unknown[])[];

export interface SparkStatements extends AsyncDisposable {
  /** The rows of each statement, which are run one after another. */
  run(...statements: readonly string[]): Promise<readonly Rows[]>;
}

/** Its catalog `lake` is the REST catalog at `uri`. */
export async function startSpark(options: {
  readonly uri: string;
  readonly warehouse: string;
}): Promise<SparkStatements> {
  const bin = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
  const libs = await sparkJars();
  const request = { ...options, s3: null, jars: readdirSync(libs).map((name) => join(libs, name)) };
  const child = spawn(join(bin, "python"), [join(import.meta.dirname, "ddl.py")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, JAVA_TOOL_OPTIONS: "" },
  });
  const lines = createInterface({ input: child.stdout });
  const end = once(child, "close");
  child.stdin.write(`${JSON.stringify(request)}\n`);
  return {
    async run(...statements) {
      child.stdin.write(`${JSON.stringify(statements)}\n`);
      const answer = await nextAnswer(lines, child);
      if (answer.rows === undefined) throw new Error(`${statements.join("; ")}: ${answer.error}`);
      return answer.rows;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await end;
    },
  };
}

async function nextAnswer(
  lines: Interface,
  child: ChildProcess,
): Promise<{ readonly rows?: readonly Rows[]; readonly error?: string }> {
  return await new Promise((resolve, reject) => {
    const exited = (): void => reject(new Error("Spark ended without an answer"));
    const taken = (line: string): void => {
      if (!line.startsWith("ANSWER ")) return;
      lines.off("line", taken);
      child.off("close", exited);
      resolve(JSON.parse(line.slice("ANSWER ".length)));
    };
    lines.on("line", taken);
    child.once("close", exited);
  });
}
