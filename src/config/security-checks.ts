/** What must hold of listeners and of those who may authenticate. Pure: settings in, problems out. What is left open fails closed. */
import type { Problem } from "./problem.ts";
import type { ListenerSettings, SaslSettings } from "./security.ts";
import { locate, type Tree } from "./tree.ts";

/** As in Kafka's listener names; metrics and logs carry them. */
const listenerName = /^[A-Za-z0-9_-]{1,64}$/;

export function checkSecurity(
  listeners: readonly ListenerSettings[],
  sasl: SaslSettings,
  tree: Tree,
): readonly Problem[] {
  const problems: Problem[] = [];
  const report = (path: readonly string[], message: string, fix: string): void => {
    problems.push({ origin: locate(tree, path), message, fix });
  };
  for (const listener of listeners) {
    checkName(listener, listeners, report);
    checkTls(listener, report);
    checkMechanisms(listener, sasl, report);
  }
  for (const [user, { password, hash }] of sasl.users) {
    if ((password === null) === (hash === null) || password === "" || user === "") {
      report(["sasl", "users", user], `sasl.users.${user} needs a password or a hash`, "say one of the two");
    }
  }
  return problems;
}

type Report = (path: readonly string[], message: string, fix: string) => void;

function checkName(listener: ListenerSettings, all: readonly ListenerSettings[], report: Report): void {
  const path = ["listeners", listener.name];
  if (!listenerName.test(listener.name)) {
    report(path, `"${listener.name}" is no name for a listener`, "use letters, digits, dashes and underscores");
  }
  const twin = all.find((other) => other !== listener && other.port === listener.port && other.host === listener.host);
  if (twin !== undefined && listener.port !== 0 && all.indexOf(twin) < all.indexOf(listener)) {
    report([...path, "port"], `listeners ${twin.name} and ${listener.name} bind one port`, "give one of them another");
  }
}

function checkTls({ name, protocol, tls }: ListenerSettings, report: Report): void {
  const path = ["listeners", name, "tls"];
  const isTls = protocol.endsWith("SSL");
  const isSaid = tls.certificate !== "" || tls.key !== "" || tls.clientCa !== null || tls.clientAuth !== "none";
  if (!isTls && isSaid) report(path, `listener ${name} has TLS files but protocol ${protocol}`, "say SSL or SASL_SSL");
  if (isTls && (tls.certificate === "" || tls.key === "")) {
    report(
      path,
      `listener ${name} needs a certificate and its key`,
      "say tls.certificate and tls.key: paths of PEM files",
    );
  }
  if (tls.clientAuth !== "none" && tls.clientCa === null) {
    report(
      path,
      `listener ${name} asks for clients' certificates but trusts nobody's`,
      "say tls.client_ca: a PEM file",
    );
  }
}

function checkMechanisms(listener: ListenerSettings, sasl: SaslSettings, report: Report): void {
  const { name, protocol, mechanisms, allowsPlainWithoutTls } = listener;
  const path = ["listeners", name, "mechanisms"];
  if (!protocol.startsWith("SASL")) {
    if (mechanisms.length > 0) report(path, `listener ${name} has mechanisms but protocol ${protocol}`, "say SASL_SSL");
    return;
  }
  if (mechanisms.length === 0) {
    report(path, `listener ${name} lets nobody in: it has no mechanisms`, "say mechanisms: [SCRAM-SHA-512]");
  }
  if (mechanisms.includes("PLAIN")) {
    if (sasl.users.size === 0 && sasl.usersFile === null) {
      report(path, `listener ${name} offers PLAIN, which has no users`, "add sasl.users or sasl.users_file");
    }
    if (protocol === "SASL_PLAINTEXT" && !allowsPlainWithoutTls) {
      const fix =
        "say protocol SASL_SSL or a SCRAM mechanism, or allow_plain_without_tls: true where the network is yours";
      report(path, `listener ${name} would send passwords of PLAIN unencrypted`, fix);
    }
  }
  if (mechanisms.includes("OAUTHBEARER")) checkOauth(name, sasl.oauth, report);
}

/** A check that was not configured would be a check that passes (CVE-2026-33557). */
function checkOauth(name: string, oauth: SaslSettings["oauth"], report: Report): void {
  const { issuer, audience, jwks } = oauth;
  if (issuer === "" || audience.length === 0 || jwks === "") {
    const fix = "say sasl.oauth.issuer, audience and jwks";
    report(["sasl", "oauth"], `listener ${name} offers OAUTHBEARER, whose tokens nothing could check`, fix);
    return;
  }
  if (isUrl(jwks) && !isSafeUrl(jwks)) {
    report(["sasl", "oauth", "jwks"], "sasl.oauth.jwks must be an https URL or a path", "keys over http are anybody's");
  }
}

export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}

/** Encrypted, or of this machine alone. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(hostname));
}
