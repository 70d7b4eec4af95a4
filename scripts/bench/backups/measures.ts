import type { Measurement } from '../measure.ts';

export const MIB: number = 1024 ** 2;

export const SECONDS = { key: 'seconds', title: 'seconds', main: true } as const;
export const PEAK = { key: 'peakMb', title: 'peak MB' } as const;
export const STORED = { key: 'storedMb', title: 'stored MB' } as const;

/** By the keys of the measures. */
export function valuesOf({ seconds, peakBytes }: Measurement): { seconds: number; peakMb: number } {
  return { seconds, peakMb: (peakBytes ?? Number.NaN) / MIB };
}
