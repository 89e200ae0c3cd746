/* The Node that the repository brings, for whatever older one starts the files of this folder. */
"use strict";
const { existsSync } = require("node:fs");
const { dirname, join } = require("node:path");

const nodeMajorMin = 24;

/** Path of a Node that is new enough: the package of this platform, else the running one; undefined when there is none. */
function findNode(root) {
  const binary = process.platform === "win32" ? "node.exe" : join("bin", "node");
  const platform = process.platform === "win32" ? "win" : process.platform;
  for (const name of [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`]) {
    // Installed beside us, or hoisted above us when Inlet is a dependency.
    for (let at = root; ; at = dirname(at)) {
      for (const path of [join(at, "node_modules", name, binary), join(at, "node_modules", name, "bin", binary)]) {
        if (existsSync(path)) return path;
      }
      if (dirname(at) === at) break;
    }
  }
  return Number(process.versions.node.split(".")[0]) >= nodeMajorMin ? process.execPath : undefined;
}

module.exports = { findNode, nodeMajorMin };
