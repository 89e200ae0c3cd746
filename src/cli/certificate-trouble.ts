/** Why TLS does not trust whom it called, said of "the certificate of …"; undefined when the failure is another one. */
export function certificateTrouble(code: string | undefined): string | undefined {
  return code === undefined ? undefined : troubles.get(code);
}

const strangers = "is signed by nobody whom we trust";
/** Names as OpenSSL's verify(1) and Node.js have them. */
const troubles: ReadonlyMap<string, string> = new Map([
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", strangers],
  ["UNABLE_TO_GET_ISSUER_CERT", strangers],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", strangers],
  ["SELF_SIGNED_CERT_IN_CHAIN", strangers],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", strangers],
  ["CERT_SIGNATURE_FAILURE", strangers],
  ["CERT_UNTRUSTED", strangers],
  ["INVALID_CA", strangers],
  ["CERT_NOT_YET_VALID", "is not valid yet"],
  ["CERT_HAS_EXPIRED", "has expired"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "is for other names than this one"],
]);

/** Whether it helps to be told who signed it. */
export function isOfStranger(code: string | undefined): boolean {
  return certificateTrouble(code) === strangers;
}
