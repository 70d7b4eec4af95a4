/** The contenders in the order of a round: another one begins in each. */
export function rotated<T>(all: readonly T[], round: number): T[] {
  const start = round % all.length;
  return [...all.slice(start), ...all.slice(0, start)];
}
