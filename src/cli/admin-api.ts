/** Calls of the broker's admin API, and what their failures mean for a command. */
import { certificateTrouble, isOfStranger } from "./certificate-trouble.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes } from "./output.ts";

export async function callAdmin(context: Context, method: string, path: string, body?: unknown): Promise<unknown> {
  const { adminToken } = context;
  if (!/^https?:\/\/[^/]/.test(context.admin))
    throw new CommandFailed(`--admin "${context.admin}" is no URL: write http://127.0.0.1:8080`, exitCodes.usage);
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...(adminToken === undefined ? {} : { authorization: `Bearer ${adminToken}` }),
  };
  const init = { headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const response = await fetch(`${context.admin}${path}`, { method, ...init }).catch((cause: unknown) => {
    throw unanswered(cause, context);
  });
  const text = await response.text();
  if (response.ok) return answerOf(text, context);
  const message = errorOf(text) ?? `the admin API answered ${response.status}`;
  const codes: Readonly<Record<number, typeof exitCodes.missing | typeof exitCodes.usage>> = {
    400: exitCodes.usage,
    404: exitCodes.missing,
  };
  if (response.status === 401)
    throw new CommandFailed(`${message}: say --admin-token, or set INLET_HTTP_TOKEN`, exitCodes.failed);
  throw new CommandFailed(message, codes[response.status] ?? exitCodes.failed);
}

function unanswered(cause: unknown, { admin }: Context): CommandFailed {
  const { code } = ((cause as Error).cause ?? {}) as NodeJS.ErrnoException;
  const trouble = certificateTrouble(code);
  if (trouble === undefined)
    return new CommandFailed(
      `the admin API does not answer at ${admin}; is the broker running?`,
      exitCodes.unreachable,
      { cause },
    );
  const fix = isOfStranger(code) ? ": set NODE_EXTRA_CA_CERTS to the file of whoever signed it" : "";
  return new CommandFailed(`the certificate of ${admin} ${trouble}${fix}`, exitCodes.failed, { cause });
}

function answerOf(text: string, { admin }: Context): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new CommandFailed(`what answers at ${admin} is not the admin API: say --admin`, exitCodes.failed, { cause });
  }
}

function errorOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === "string" ? error : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}
