import { WalholdError } from '../base/errors.ts';

/** What a pax header says of the member that follows. */
export interface PaxRecords {
  readonly path?: Buffer;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Reads `<length> <key>=<value>\n` records. Keys that a backup does not write are refused: one could redirect a member. */
export function readPax(bytes: Buffer): PaxRecords {
  const found: { path?: Buffer; size?: number; uid?: number; gid?: number } = {};
  const seen = new Set<string>();
  for (let at = 0; at < bytes.length;) {
    const { key, value, next } = recordAt(bytes, at);
    if (seen.has(key)) throw damaged(`it has two records ${JSON.stringify(key)}`);
    seen.add(key);
    if (key === 'path') found.path = value;
    else if (key === 'size' || key === 'uid' || key === 'gid') found[key] = decimal(value);
    else if (key !== 'hdrcharset') throw damaged(`it has a record ${JSON.stringify(key.slice(0, 40))}`);
    at = next;
  }
  return found;
}

function recordAt(bytes: Buffer, at: number): { key: string; value: Buffer; next: number } {
  const space = bytes.indexOf(0x20, at);
  const digits = bytes.toString('latin1', at, Math.max(at, Math.min(space, at + 8)));
  if (!/^[1-9][0-9]{0,5}$/.test(digits)) throw damaged('a record has no length');
  const next = at + Number(digits);
  const equals = bytes.indexOf(0x3d, space);
  if (next > bytes.length || equals < 0 || equals >= next || bytes[next - 1] !== 0x0a) {
    throw damaged('a record has the wrong length');
  }
  return {
    key: bytes.toString('latin1', space + 1, equals),
    value: Buffer.from(bytes.subarray(equals + 1, next - 1)),
    next,
  };
}

function decimal(value: Buffer): number {
  const digits = value.toString('latin1');
  const number = Number(digits);
  if (!/^[0-9]{1,16}$/.test(digits) || !Number.isSafeInteger(number)) throw damaged('a number is wrong');
  return number;
}

function damaged(detail: string): WalholdError {
  return new WalholdError('damaged', 'could not read the pax header of an archive', { detail });
}
