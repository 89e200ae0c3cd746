/** Certificates that a test makes for itself: a root of its own, and what it signs. */
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificate {
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
}

export class Authority {
  readonly #directory: string;
  readonly #name: string;
  readonly certificate: string;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    this.certificate = join(directory, `${name}.crt`);
    openssl(
      "req",
      "-x509",
      ...newKey(this.#path("key")),
      "-out",
      this.certificate,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
    );
  }

  /** For localhost and 127.0.0.1 unless it says another; `subject` as openssl writes it: "/O=Example/CN=alice". */
  issue(file: string, subject: string, names = "DNS:localhost,IP:127.0.0.1"): Certificate {
    const paths = { certificate: join(this.#directory, `${file}.crt`), key: join(this.#directory, `${file}.key`) };
    const request = join(this.#directory, `${file}.csr`);
    const extensions = join(this.#directory, `${file}.ext`);
    writeFileSync(extensions, `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
    openssl("req", ...newKey(paths.key), "-out", request, "-subj", subject);
    const signer = ["-CA", this.certificate, "-CAkey", this.#path("key"), "-CAcreateserial"];
    openssl("x509", "-req", "-in", request, ...signer, "-out", paths.certificate, "-days", "2", "-extfile", extensions);
    return paths;
  }

  #path(extension: string): string {
    return join(this.#directory, `${this.#name}.${extension}`);
  }
}

/** Without it nothing here can be made: suites that need certificates are skipped. */
export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

function newKey(path: string): readonly string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path];
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}
