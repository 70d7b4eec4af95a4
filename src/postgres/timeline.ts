declare const timelineBrand: unique symbol;

/** A timeline's number, 1 to 2^32 - 1. */
export type TimelineId = number & { readonly [timelineBrand]: true };

/** `n` as a timeline. Throws a RangeError for what no timeline can be (0 is PostgreSQL's "invalid"). */
export function timelineId(n: number): TimelineId {
  if (!isTimelineId(n)) throw new RangeError(`${n} is not a timeline`);
  return n;
}

export function isTimelineId(n: number): n is TimelineId {
  return Number.isInteger(n) && n >= 1 && n <= 0xffff_ffff;
}

/** Reads the 8 upper case hex digits of a WAL file's name. `undefined`: not a timeline, 0 included. */
export function parseTimelineHex(text: string): TimelineId | undefined {
  if (!/^[0-9A-F]{8}$/.test(text)) return undefined;
  const n = Number.parseInt(text, 16);
  return isTimelineId(n) ? n : undefined;
}

/** Reads a timeline as people and settings write it: decimal, or hex with `0x`. `undefined`: not a timeline. */
export function parseTimelineText(text: string): TimelineId | undefined {
  if (!/^(?:[0-9]{1,10}|0[xX][0-9A-Fa-f]{1,8})$/.test(text)) return undefined;
  const n = Number(text);
  return isTimelineId(n) ? n : undefined;
}

/** Writes a timeline as the first 8 digits of a WAL file's name. */
export function formatTimeline(timeline: TimelineId): string {
  return timeline.toString(16).toUpperCase().padStart(8, '0');
}
