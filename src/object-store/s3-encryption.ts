/** Encryption by S3 itself: what is asked for with an object, and whether that is what became of it. */
import type * as S3Sdk from "@aws-sdk/client-s3";
import type { S3Encryption } from "./store-url.ts";

/** Of what makes an object. */
export function encryptionOf(
  encryption: S3Encryption,
): Pick<
  S3Sdk.PutObjectCommandInput,
  "ServerSideEncryption" | "SSEKMSKeyId" | "SSECustomerAlgorithm" | "SSECustomerKey"
> {
  switch (encryption.kind) {
    case "bucket":
      return {};
    case "s3":
      return { ServerSideEncryption: "AES256" };
    case "kms":
      return {
        ServerSideEncryption: "aws:kms",
        ...(encryption.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
      };
    case "customer":
      return { SSECustomerAlgorithm: "AES256", SSECustomerKey: encryption.key };
  }
}

/**
 * Whether an object is encrypted as asked for. Gateways that do not know the headers take them and do nothing. Which key it was is not
 * compared: an alias is answered with what it stands for.
 */
export function isEncrypted(
  found: Pick<S3Sdk.HeadObjectCommandOutput, "ServerSideEncryption" | "SSECustomerAlgorithm">,
  asked: S3Encryption,
): boolean {
  switch (asked.kind) {
    case "bucket":
      return true;
    case "s3":
      return found.ServerSideEncryption === "AES256";
    case "kms":
      return found.ServerSideEncryption?.startsWith("aws:kms") === true;
    case "customer":
      return found.SSECustomerAlgorithm === "AES256";
  }
}
