/** Other people's Java programs, each in a JVM of its own: small heaps, no second compiler, and only warnings on the console. */
import { type Running, start } from "../test/support/processes.ts";
import { command, java } from "./tools.ts";

export interface JavaProgram {
  /** As `java -cp` takes it. */
  readonly classPath: string;
  /** A class, or a source file that is compiled as it starts. */
  readonly main: string;
  readonly args: readonly string[];
}

/** For programs that live for seconds the second compiler costs more than it saves. */
const options = ["-Xmx384m", "-XX:TieredStopAtLevel=1"];

const line = ({ classPath, main, args }: JavaProgram): readonly string[] => [
  ...options,
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-cp",
  classPath,
  main,
  ...args,
];

/** Starts a program that runs until it is stopped or killed. */
export async function startJava(
  name: string,
  program: JavaProgram,
  options: { readonly ready: (output: string) => boolean | Promise<boolean>; readonly timeoutMs?: number },
): Promise<Running> {
  return await start(name, java(17), line(program), options);
}

/** Runs a program to its end; returns what it printed. */
export async function runJava(program: JavaProgram, options: { readonly timeoutMs?: number } = {}): Promise<string> {
  return await command(java(17), line(program), options);
}
