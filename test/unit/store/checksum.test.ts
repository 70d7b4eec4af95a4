import { expect, it } from 'vitest';
import { addCrc32c, checksumText } from '../../../src/store/checksum.ts';
import { patternBytes } from '../../support/bytes.ts';

it("is CRC-32C, written as S3 writes it (RFC 3720's test vector)", () => {
  expect(addCrc32c(0, new Uint8Array(32)).toString(16)).toBe('8a9136aa');
  expect(checksumText(addCrc32c(0, Buffer.from('123456789')))).toBe('4waSgw==');
  expect(checksumText(0)).toBe('AAAAAA==');
});

it('goes on from one piece to the next, empty ones included', () => {
  const bytes = patternBytes(1000);
  const whole = addCrc32c(0, bytes);
  for (const cut of [0, 1, 500, 999, 1000]) {
    expect(addCrc32c(addCrc32c(0, bytes.subarray(0, cut)), bytes.subarray(cut))).toBe(whole);
  }
});
