/*
 * Runs a command of the repository's packages under the repository's own Node: `node bin/run.js vitest run`. npm puts
 * node_modules/.bin first on the path, but not every npm links the Node in there.
 */
"use strict";
const { spawn } = require("node:child_process");
const { delimiter, dirname, join } = require("node:path");
const { findNode, nodeMajorMin } = require("./find-node.js");

const root = join(__dirname, "..");
const node = findNode(root);
if (node === undefined) {
  console.error(`Node ${nodeMajorMin} or newer is missing: run "npm ci" without --omit=optional`);
  process.exit(1);
}
const path = [dirname(node), join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter);
const [command, ...args] = process.argv.slice(2);
const child = spawn(command, args, {
  stdio: "inherit",
  env: { ...process.env, PATH: path },
  shell: process.platform === "win32",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`cannot run ${command}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code) => process.exit(code ?? 1));
