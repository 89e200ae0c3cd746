/** Calls of the broker's admin API, and what their failures mean for a command. */
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes } from "./output.ts";

export async function callAdmin(context: Context, method: string, path: string, body?: unknown): Promise<unknown> {
  const { adminToken } = context;
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...(adminToken === undefined ? {} : { authorization: `Bearer ${adminToken}` }),
  };
  const init = { headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const response = await fetch(`${context.admin}${path}`, { method, signal: context.signal, ...init }).catch(
    (cause: unknown) => {
      throw new CommandFailed(
        `the admin API does not answer at ${context.admin}; is the broker running?`,
        exitCodes.unreachable,
        { cause },
      );
    },
  );
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as unknown;
  const message = errorOf(text) ?? `the admin API answered ${response.status}`;
  const codes: Readonly<Record<number, typeof exitCodes.missing | typeof exitCodes.usage>> = {
    400: exitCodes.usage,
    404: exitCodes.missing,
  };
  throw new CommandFailed(message, codes[response.status] ?? exitCodes.failed);
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
