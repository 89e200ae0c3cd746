/** Names that Glue and the Hive Metastore keep as they are: both have no letter case. Pure. */

/** And that Athena takes. */
export function isGlueName(name: string): boolean {
  return isLowerCase(name) && name.length <= 252;
}

export function isHiveName(name: string): boolean {
  return isLowerCase(name) && name.length <= 128;
}

function isLowerCase(name: string): boolean {
  return /^[a-z0-9_]+$/.test(name);
}
