import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { decodeObject, encodeObject } from '../../../src/repository/object-codec.ts';
import {
  formatHead,
  formatTail,
  parseHead,
  parseTail,
  TAIL_BYTES,
  type ObjectHead,
} from '../../../src/repository/object-head.ts';
import { crc32c } from '../../../src/stream/checksum.ts';

const PLAIN = Buffer.from('write-ahead log '.repeat(300));
const ABOUT = { kind: 'segment', name: '000000010000000000000001', systemId: '7300000000000000001' } as const;
const GOOD = encodeObject(PLAIN, ABOUT, 1);

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(WalholdError);
    expect((error as WalholdError).code).toBe('damaged');
    return `${(error as WalholdError).message}: ${(error as WalholdError).detail}`;
  }
  return 'nothing was refused';
}

/** A good head with some fields changed, framed with a right checksum: what a hostile writer would make. */
function forged(change: Record<string, unknown>): Buffer {
  return formatHead({ ...GOOD.head, ...change } as unknown as ObjectHead);
}

describe('an object', () => {
  it('gives back its content and its description', () => {
    const { head, plain } = decodeObject(GOOD.bytes, 'x', PLAIN.length);
    expect(plain.equals(PLAIN)).toBe(true);
    expect(head).toMatchObject({ ...ABOUT, bytes: PLAIN.length });
  });

  it('is plain zstd for every other tool', () => {
    expect(execFileSync('zstd', ['-dc'], { input: GOOD.bytes }).equals(PLAIN)).toBe(true);
  });

  it('is refused after any single flipped bit', () => {
    for (let bit = 0; bit < GOOD.bytes.length * 8; bit++) {
      const bad = Buffer.from(GOOD.bytes);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(
        refusal(() => decodeObject(bad, 'x', PLAIN.length)),
        `bit ${bit}`,
      ).toContain('could not trust x');
    }
  });

  it('is refused at any length but its own', () => {
    for (let length = 0; length < GOOD.bytes.length; length++) {
      expect(refusal(() => decodeObject(GOOD.bytes.subarray(0, length), 'x', PLAIN.length))).toContain(
        'could not trust x',
      );
    }
    expect(refusal(() => decodeObject(Buffer.concat([GOOD.bytes, Buffer.of(0)]), 'x', PLAIN.length))).toContain(
      'bytes follow',
    );
  });

  it('is refused when it says that it holds more than it may', () => {
    expect(refusal(() => decodeObject(GOOD.bytes, 'x', PLAIN.length - 1))).toContain(
      `at most ${PLAIN.length - 1} can be right`,
    );
  });

  it('is refused when more comes out than its description says, whatever the frame declares', () => {
    const frame = Buffer.from(GOOD.bytes.subarray(parseHead(GOOD.bytes, 'x').frameBytes));
    const liar = Buffer.concat([forged({ bytes: 10, storedBytes: frame.length, storedCrc32c: crc32c(frame) }), frame]);
    expect(refusal(() => decodeObject(liar, 'x', PLAIN.length))).toContain('more than the 10 bytes');
  });

  it('is refused when its content is not what the digest says', () => {
    const frame = Buffer.from(GOOD.bytes.subarray(parseHead(GOOD.bytes, 'x').frameBytes));
    const liar = Buffer.concat([forged({ sha256: '0'.repeat(64) }), frame]);
    expect(refusal(() => decodeObject(liar, 'x', PLAIN.length))).toContain('the SHA-256 of its content');
  });
});

describe('a description', () => {
  const table: [string, Record<string, unknown>, RegExp][] = [
    ['a format to come', { format: 2 }, /its format is 2, this version reads 1/],
    ['no kind', { kind: undefined }, /field kind/],
    ['an endless name', { name: 'x'.repeat(201) }, /field name/],
    ['a system identifier that is no number', { systemId: '-1' }, /field systemId/],
    ['a short digest', { sha256: 'ab' }, /field sha256/],
    ['a digest in upper case', { sha256: 'A'.repeat(64) }, /field sha256/],
    ['a negative size', { bytes: -1 }, /field bytes/],
    ['a size beyond numbers', { bytes: 1e300 }, /field bytes/],
    ['a size that is a text', { storedBytes: '12' }, /field storedBytes/],
    ['a checksum of five bytes', { storedCrc32c: 2 ** 33 }, /field storedCrc32c/],
    ['an LSN of another form', { startLsn: '1-2' }, /field startLsn/],
    ['a time of another form', { lastCommitAt: 'yesterday' }, /field lastCommitAt/],
    ['a count that is no number', { commits: null }, /field commits/],
  ];
  it.each(table)('with %s is refused', (_, change, expected) => {
    expect(refusal(() => parseHead(forged(change), 'x'))).toMatch(expected);
  });

  it('may lack everything optional and hold more than is known', () => {
    expect(parseHead(forged({ later: { versions: ['may', 'add'] } }), 'x').head).toMatchObject(ABOUT);
  });

  it('at the end of an object has one length only', () => {
    const tail = formatTail(GOOD.head);
    expect(tail.length).toBe(TAIL_BYTES);
    expect(parseTail(tail, 'x')).toEqual(GOOD.head);
    expect(refusal(() => parseTail(formatHead(GOOD.head), 'x'))).toContain('wrong length');
  });

  it('that is not JSON, or not an object, is refused', () => {
    for (const text of ['{', '[1]', '"x"', 'null']) {
      const frame = Buffer.alloc(12 + text.length);
      frame.writeUInt32LE(0x184d2a57, 0);
      frame.writeUInt32LE(text.length + 4, 4);
      frame.write(text, 8);
      frame.writeUInt32LE(crc32c(frame.subarray(0, -4)), frame.length - 4);
      expect(refusal(() => parseHead(frame, 'x'))).toContain('could not');
    }
  });
});
