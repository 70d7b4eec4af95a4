import { describe, expect, it } from 'vitest';
import { bodyChunks, type BodyExpectation } from '../../../src/store/body-chunks.ts';
import { s3Error } from '../../../src/store/s3-errors.ts';
import { bytesOf, patternBytes, pieces } from '../../support/bytes.ts';

const content = patternBytes(1000);
const expected = (bytes: number): BodyExpectation => ({
  what: 'read x',
  bytes,
  timeoutMs: 10_000,
  signal: new AbortController().signal,
  failure: s3Error,
});

describe('the body of a GET', () => {
  it('is the bytes announced', async () => {
    expect((await bytesOf(bodyChunks(pieces(content, 300), expected(1000)))).equals(content)).toBe(true);
    expect((await bytesOf(bodyChunks(pieces(content, 300), expected(0)))).byteLength).toBe(0);
  });

  it('is unreachable when it ends early, however politely', async () => {
    await expect(bytesOf(bodyChunks(pieces(content, 300), expected(1001)))).rejects.toMatchObject({
      code: 'unreachable',
      message: 'could not read x',
      detail: 'it ended 1 bytes early',
    });
  });

  it('is no more than was announced', async () => {
    const bytes = await bytesOf(bodyChunks(pieces(content, 300), expected(350)));
    expect(bytes.equals(content.subarray(0, 350))).toBe(true);
  });

  it('is whole though the connection fails after its last byte', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* pieces(content, 300);
      throw new Error('reset');
    }
    expect((await bytesOf(bodyChunks(failing(), expected(1000)))).equals(content)).toBe(true);
  });

  it('is given up when the reader breaks off', async () => {
    let ended = false;
    async function* watched(): AsyncGenerator<Uint8Array> {
      try {
        yield* pieces(content, 300);
      } finally {
        ended = true;
      }
    }
    for await (const chunk of bodyChunks(watched(), expected(1000))) if (chunk.byteLength > 0) break;
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(true);
  });
});
