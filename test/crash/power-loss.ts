/**
 * A real loss of power, as far as software can have one: the broker's data live on a file system of their own, which is shut
 * down by the ioctl that drops all that was not synced (what xfstests use), while the broker is under load. Then unmount,
 * mount, which replays the journal, and the next life; at the end everything that was acked is looked for.
 *
 *   node test/crash/power-loss.ts [--cycles 20] [--filesystem ext4|xfs] [--seed N] [--planted]
 *
 * With --planted the broker's WAL does not sync its writes, and the run must find that out.
 *
 * Needs Linux, root, loop mounts and perl; for XFS xfsprogs, which it installs with apt when it may. Without them the run is
 * skipped, and says why.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SimRandom } from "../sim/random.ts";
import { killLife, runLives } from "./lives.ts";

const filesystems = ["ext4", "xfs"] as const;
type Filesystem = (typeof filesystems)[number];

/** XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN are the same number; 2 is "without flushing the log". */
const shutdown =
  'open(my $d, "<", $ARGV[0]) or die "$!"; my $how = pack("L", 2); ioctl($d, 0x8004587D, $how) or die "$!"';

const planted = { NODE_OPTIONS: `--import ${join(import.meta.dirname, "unsynced-writes.ts")}` };
/** A start takes longer than this only where something is wrong, or very busy. */
const startMsMax = 15_000;
const violationsShownMax = 10;

class Volume {
  readonly #home = mkdtempSync(join(tmpdir(), "inlet-volume-"));
  readonly directory = join(this.#home, "mounted");
  readonly #image = join(this.#home, "image");
  readonly #filesystem: Filesystem;

  constructor(filesystem: Filesystem) {
    this.#filesystem = filesystem;
    mkdirSync(this.directory);
  }

  create(): void {
    must("truncate", "-s", "2G", this.#image);
    must(`mkfs.${this.#filesystem}`, "-q", this.#image);
    this.mount();
  }

  mount(): void {
    must("mount", "-o", "loop", "-t", this.#filesystem, this.#image, this.directory);
  }

  losePower(): void {
    must("perl", "-e", shutdown, this.directory);
  }

  unmount(): void {
    must("umount", this.directory);
  }

  remove(): void {
    spawnSync("umount", [this.directory]);
    rmSync(this.#home, { recursive: true, force: true });
  }
}

async function run(cycles: number, seed: number, filesystem: Filesystem, isPlanted: boolean): Promise<boolean> {
  const random = new SimRandom(seed);
  const volume = new Volume(filesystem);
  const began = performance.now();
  try {
    volume.create();
    const dataDirectory = join(volume.directory, "data");
    const report = await runLives({
      seed,
      dataDirectory,
      lives: async (start, acks) => {
        for (let cycle = 1; cycle <= cycles; cycle += 1) {
          const life = start([], isPlanted ? planted : {});
          // Some while it starts, most under load.
          if (random.chance(0.2)) await pause(random.between(300, 2000));
          else {
            await acks.within(startMsMax);
            await pause(random.between(0, 1500));
          }
          volume.losePower();
          await killLife(life);
          volume.unmount();
          volume.mount();
          if (cycle % 10 === 0) console.log(`${cycle} of ${cycles} losses of power on ${filesystem}`);
        }
      },
    });
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    const violations = report.violations.slice(0, violationsShownMax);
    console.log(JSON.stringify({ seed, filesystem, cycles, seconds, ...report, violations }));
    return isPlanted ? report.violations.length > 0 : report.violations.length === 0 && report.acked > 0;
  } finally {
    volume.remove();
  }
}

/** Why it cannot be run; undefined when it can. A small volume is made, shut down and looked at. */
function obstacle(filesystem: Filesystem): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux mounts file systems";
  if (filesystem === "xfs" && spawnSync("mkfs.xfs", ["-V"]).status !== 0)
    spawnSync("apt-get", ["install", "-y", "xfsprogs"], { stdio: "ignore" });
  const volume = new Volume(filesystem);
  try {
    volume.create();
    volume.losePower();
    volume.unmount();
    volume.mount();
    return undefined;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  } finally {
    volume.remove();
  }
}

function must(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${stderr || (error?.message ?? `status ${status}`)}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      cycles: { type: "string", default: "20" },
      filesystem: { type: "string" },
      planted: { type: "boolean", default: false },
      seed: { type: "string", default: String(randomInt(1_000_000_000)) },
    },
  });
  const chosen = filesystems.filter((each) => values.filesystem === undefined || values.filesystem === each);
  if (chosen.length === 0) throw new Error(`filesystems: ${filesystems.join(", ")}`);
  for (const filesystem of chosen) {
    const reason = obstacle(filesystem);
    if (reason !== undefined) console.log(`skipped on ${filesystem}: ${reason}`);
    else if (!(await run(Number(values.cycles), Number(values.seed), filesystem, values.planted))) process.exitCode = 1;
  }
}
