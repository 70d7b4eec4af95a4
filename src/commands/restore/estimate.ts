/** How long a recovery will take, by how long one took. Pure. */
import type { DrillRecord } from '../../repository/drill-record.ts';
import type { KnownDrills } from '../../repository/drill-records.ts';
import { drillKey } from '../../repository/layout.ts';
import { formatSeconds } from '../format-seconds.ts';

/** In `walhold restore --plan --json`. */
export interface EstimateJson {
  restoreSeconds: number;
  replaySeconds: number;
  totalSeconds: number;
  /** The drill that this is computed from: its record, and what it restored. */
  basis: { drill: string; at: string; backup: string };
}

/** What a recovery moves. */
export interface Effort {
  /** Of the files that it writes. */
  bytes: number;
  /** Stored bytes of the WAL that it replays. */
  walBytes: number;
}

/**
 * In proportion to the newest drill that came to its end and tells how much it moved; another machine or a slower line is not known of.
 * `null`: there was none.
 */
export function estimateOf(
  { last, proven }: Pick<KnownDrills, 'last' | 'proven'>,
  effort: Effort,
): EstimateJson | null {
  for (const drill of [last, proven]) {
    const estimate = drill === undefined ? undefined : scaled(drill, effort);
    if (estimate !== undefined) return estimate;
  }
  return null;
}

function scaled(drill: DrillRecord, { bytes, walBytes }: Effort): EstimateJson | undefined {
  const restoreSeconds = inProportion(drill.restoreSeconds, bytes, drill.bytes);
  const replaySeconds = inProportion(drill.replaySeconds, walBytes, drill.walBytes);
  if (restoreSeconds === undefined || replaySeconds === undefined) return undefined;
  const { at, backup } = drill;
  const totalSeconds = tenths(restoreSeconds + replaySeconds);
  return { restoreSeconds, replaySeconds, totalSeconds, basis: { drill: drillKey(at), at: at.toISOString(), backup } };
}

/** `undefined`: a clock that was set can have made the time negative, and nothing can be known from nothing. */
function inProportion(seconds: number | undefined, amount: number, measured: number | undefined): number | undefined {
  if (seconds === undefined || seconds < 0 || measured === undefined || measured === 0) return undefined;
  return tenths((seconds * amount) / measured);
}

function tenths(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}

export function estimateLine(estimate: EstimateJson | null): string {
  if (estimate === null) return 'estimated time: not known, no drill has measured it ("walhold drill" does)';
  const { restoreSeconds, replaySeconds, totalSeconds, basis } = estimate;
  const parts = `restore ${formatSeconds(restoreSeconds)}, replay ${formatSeconds(replaySeconds)}`;
  return `estimated time: ${formatSeconds(totalSeconds)} (${parts}), in proportion to the drill of ${basis.at}`;
}
