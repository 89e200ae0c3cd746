/** Whether the work comes to its end as soon as everything has had a turn. */
export async function endOf(work: PromiseLike<unknown>): Promise<"ended" | "waits"> {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const waits = turn().then(turn);
  return await Promise.race([Promise.resolve(work).then(() => "ended" as const), waits.then(() => "waits" as const)]);
}
