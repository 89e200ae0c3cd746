/** Where a Hive Metastore listens, as hive.metastore.uris says it. Pure. */

export interface HmsAddress {
  readonly host: string;
  readonly port: number;
}

/** The metastore's usual port. */
const defaultPort = 9083;

/** Of "thrift://a:9083,thrift://b:9083"; undefined when it says anything else. */
export function hmsAddresses(uri: string): readonly HmsAddress[] | undefined {
  const urls = uri.split(",").map((text) => URL.parse(text.trim()));
  const isHms = (url: URL | null): url is URL => url?.protocol === "thrift:" && url.hostname !== "";
  if (!urls.every(isHms)) return undefined;
  return urls.map((url) => ({
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"), // IPv6
    port: url.port === "" ? defaultPort : Number(url.port),
  }));
}
