/** What must not be shown, wherever a text that holds it comes by: logs, errors, `config print`. */

export const secretMask = "********";

/**
 * Parameters of URLs that are keys: of object stores (src/object-store/store-url.ts), the signature of an Azure SAS, and the passwords
 * that PostgreSQL's URLs may have.
 */
const parameters =
  "accessKey|secretKey|sessionToken|sseCustomerKey|accountKey|sasToken|sig|X-Amz-Signature|X-Amz-Security-Token|token|access_token|password|sslpassword|api_?key";
const secretParameter = new RegExp(String.raw`([?&](?:${parameters})=)[^&\s"']*`, "g");

/** Names of properties that others have made, as of Iceberg's clients: `credential`, `header.Authorization`, `s3.secret-access-key`. */
const secretName = /^header\.|credential|secret|token|password|passphrase|access-?key|api-?key|signature/i;

/** Whether what stands under the name is to be taken for a secret. */
export function isSecretName(name: string): boolean {
  return secretName.test(name);
}

/** user:password@ in a URL, whose password may hold an "@". Begins at what no scheme holds, so that any text takes linear time. */
const urlPassword = /(:\/\/[^\s/:@]*):[^\s/]+@/g;

/** The text without the passwords and keys of the URLs in it. */
export function withoutSecrets(text: string): string {
  return text.replace(urlPassword, `$1:${secretMask}@`).replace(secretParameter, `$1${secretMask}`);
}
