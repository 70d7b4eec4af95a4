import { describe, expect, it } from 'vitest';
import { formatHead, type ObjectHead } from '../../../src/repository/object-head.ts';
import { verifyObject } from '../../../src/repository/verify-object.ts';
import { crc32c, sha256 } from '../../../src/stream/checksum.ts';
import { compressFrame } from '../../../src/stream/zstd.ts';

const PLAIN = Buffer.from('what a segment holds\n'.repeat(5000));
const FRAME = Buffer.from(compressFrame(PLAIN, 1));
const HEAD: ObjectHead = {
  format: 1,
  kind: 'segment',
  name: '000000010000000000000005',
  systemId: '7',
  sha256: sha256(PLAIN),
  bytes: PLAIN.length,
  storedBytes: FRAME.length,
  storedCrc32c: crc32c(FRAME),
};

/** As a store gives it, in pieces of so many bytes. */
async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

const verify = async (head: Partial<ObjectHead>, frame: Buffer = FRAME, size = 100): ReturnType<typeof verifyObject> =>
  await verifyObject(pieces(Buffer.concat([formatHead({ ...HEAD, ...head }), frame]), size), 'it', 40);

describe('verifyObject', () => {
  it.each([1, 7, 100, 4096, 1_000_000])('proves a sound object that comes in pieces of %i bytes', async (size) => {
    const { head, start, storedBytes } = await verify({}, FRAME, size);
    expect(head).toEqual(HEAD);
    expect(start).toEqual(PLAIN.subarray(0, 40));
    expect(storedBytes).toBe(FRAME.length);
  });

  it('keeps no more than there is', async () => {
    const small = Buffer.from('abc');
    const frame = Buffer.from(compressFrame(small, 1));
    const about = { bytes: 3, sha256: sha256(small), storedBytes: frame.length, storedCrc32c: crc32c(frame) };
    expect((await verify(about, frame)).start).toEqual(small);
  });

  const other = Buffer.from(compressFrame(Buffer.alloc(1000), 1));
  const whole = (frame: Buffer): Partial<ObjectHead> => ({ storedBytes: frame.length, storedCrc32c: crc32c(frame) });
  const twice = Buffer.concat([FRAME, FRAME]);
  const faults: [what: string, head: Partial<ObjectHead>, frame: Buffer, detail: string][] = [
    ['another CRC', { storedCrc32c: 1 }, FRAME, 'the CRC-32C of its bytes is'],
    ['another digest', { sha256: 'ab'.repeat(32) }, FRAME, 'the SHA-256 of its content is'],
    ['more content', { bytes: PLAIN.length + 1 }, FRAME, `it holds ${PLAIN.length} bytes of content`],
    ['less content', { bytes: PLAIN.length - 1 }, FRAME, 'it holds more than'],
    ['more stored bytes', { storedBytes: FRAME.length + 1 }, FRAME, `${FRAME.length} bytes follow its description`],
    ['fewer stored bytes', { storedBytes: FRAME.length - 1 }, FRAME, 'more than'],
    ['a second frame', whole(twice), twice, 'it holds more than'],
    ['other content, well described', { ...whole(other) }, other, 'it holds 1000 bytes of content'],
    ['half a frame', whole(FRAME.subarray(0, 20)), FRAME.subarray(0, 20), ''],
  ];
  it.each(faults)('refuses an object whose description tells of %s', async (_, head, frame, detail) => {
    const failure = verify(head, frame);
    await expect(failure).rejects.toMatchObject({ code: 'damaged' });
    if (detail !== '')
      await expect(failure).rejects.toMatchObject({ detail: expect.stringContaining(detail) as string });
  });

  it('does not unpack a small object that says it holds little and holds much', async () => {
    const bomb = Buffer.from(compressFrame(Buffer.alloc(64 * 1024 * 1024), 1));
    const failure = verify({ bytes: 1000, ...whole(bomb) }, bomb, 1024);
    await expect(failure).rejects.toMatchObject({ detail: 'it holds more than 1000 bytes of content' });
  });
});
