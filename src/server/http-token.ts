/**
 * Whether a request shows the token of its server: as a bearer, or as the password of any user, which is what most clients of a Schema
 * Registry can say. Compared in time that tells nothing of it.
 */
import { createHash, timingSafeEqual } from "node:crypto";

export function showsToken(authorization: string, token: string): boolean {
  const [, scheme = "", shown = ""] = /^(\S+) +(\S+)$/.exec(authorization.trim()) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return isSame(shown, token);
    case "basic":
      return isSame(passwordOf(shown), token);
    default:
      return false;
  }
}

/** Names of users have no colon; passwords may. Without a colon there is no password. */
function passwordOf(credentials: string): string {
  const text = Buffer.from(credentials, "base64").toString();
  const colon = text.indexOf(":");
  return colon < 0 ? "" : text.slice(colon + 1);
}

/** Digests are of equal length, whatever was shown. */
function isSame(shown: string, token: string): boolean {
  const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(shown), digest(token));
}
