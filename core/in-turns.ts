/** A few at once. */

/** Does `work` for all of them, so many at a time. The first failure is thrown once those under way have ended. */
export async function inTurns<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  let failed: { readonly error: unknown } | undefined;
  const go = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true && failed === undefined; next = left.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, go));
  if (failed !== undefined) throw failed.error;
}
