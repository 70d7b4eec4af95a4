/** The name of the 16 MB segment of timeline 1 that holds a position, which is written as PostgreSQL does: `1/A000028`. */
export function walNameOf(lsn: string): string {
  const [high = '', low = ''] = lsn.split('/');
  const segment = Number.parseInt(low, 16) >>> 24;
  return ['00000001', high.padStart(8, '0'), segment.toString(16).padStart(8, '0')].join('').toUpperCase();
}
