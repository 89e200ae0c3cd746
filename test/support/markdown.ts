/** The project's Markdown, taken apart: fenced blocks, links, and the commands that a reader would type. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "./processes.ts";

export interface Page {
  /** From the root of the checkout. */
  readonly path: string;
  readonly text: string;
}

/** All pages of the project, those of the root first. */
export function pages(): readonly Page[] {
  const names = [
    ...readdirSync(checkout).filter((name) => name.endsWith(".md")),
    ...readdirSync(join(checkout, "docs"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => join("docs", name)),
  ];
  return names.map((path) => ({ path, text: readFileSync(join(checkout, path), "utf8") }));
}

export interface Block {
  readonly language: string;
  readonly text: string;
}

export function blocks(page: Page): readonly Block[] {
  return [...page.text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] as string,
    text: match[2] as string,
  }));
}

/** Command lines of shell blocks, one command each, comments left out. */
export function shellCommands(page: Page): readonly string[] {
  return blocks(page)
    .filter(({ language }) => language === "sh")
    .flatMap(({ text }) => text.replaceAll("\\\n", " ").split("\n"))
    .flatMap((line) => line.replace(/(^|\s)# .*$/, "").split("&&"))
    .map((command) => command.trim().replaceAll(/\s+/g, " "))
    .filter((command) => command !== "");
}

export function links(page: Page): readonly string[] {
  const prose = page.text.replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] as string);
}
