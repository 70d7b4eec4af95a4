import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { fileStoreError } from '../../../src/store/file-errors.ts';

const failing = (code: string): Error => Object.assign(new Error(`${code}: something`), { code });

describe('a failure of a repository on files', () => {
  it.each([
    ['EIO', 'unreachable'],
    ['ESTALE', 'unreachable'],
    ['ETIMEDOUT', 'unreachable'],
    ['EHOSTDOWN', 'unreachable'],
    ['ENOTCONN', 'unreachable'],
    ['EACCES', 'denied'],
    ['EPERM', 'denied'],
    ['EROFS', 'denied'],
    ['ENOSPC', 'io'],
    ['EDQUOT', 'io'],
    ['EMFILE', 'io'],
    ['EXDEV', 'store-rejected'],
    ['ELOOP', 'damaged'],
  ])('%s is %s', (code, ours) => {
    expect(fileStoreError('could not create x', failing(code))).toMatchObject({
      code: ours,
      message: 'could not create x',
      detail: `${code}: something`,
    });
  });

  it.each(['EACCES', 'EROFS', 'ENOSPC', 'EDQUOT', 'EXDEV', 'ELOOP'])('%s comes with a hint', (code) => {
    expect(fileStoreError('x', failing(code)).hint).toMatch(/^[A-Z].*\.$/);
  });

  it('keeps what has its code already', () => {
    const known = new WalholdError('store-gone', 'gone');
    expect(fileStoreError('x', known)).toBe(known);
  });
});
