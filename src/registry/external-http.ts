/** GET over HTTP and HTTPS, with a certificate of our own where the other side wants one. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Rejects when there is no whole answer. */
export type HttpGet = (url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<HttpAnswer>;

/** PEM texts. */
export interface TlsIdentity {
  /** Whom to trust; undefined: who the system trusts. */
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** A schema with all its rules: far above what any registry takes, and what one answer may fill our memory with. */
const bodyBytesMax = 32 * 1024 * 1024;

export function httpGetter({ ca, certificate, key }: TlsIdentity): HttpGet {
  const agent = new Agent({
    keepAlive: true,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
  });
  return async (url, headers, signal) => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent =
        url.protocol === "https:"
          ? httpsRequest(url, { headers, signal, agent }, resolve)
          : httpRequest(url, { headers, signal }, resolve);
      sent.on("error", reject);
      sent.end();
    });
    return { status: answer.statusCode ?? 0, body: await bodyOf(answer) };
  };
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Error(`the answer is longer than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
