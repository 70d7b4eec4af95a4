import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textLog } from '../../../src/base/log.ts';
import { findPassword, passwordFromFile } from '../../../src/server/password-file.ts';

const QUESTION = { host: 'db1', port: 5432, database: 'app', user: 'me' };

describe('a password file', () => {
  it.each([
    ['db1:5432:app:me:right', 'right'],
    ['*:*:*:*:right', 'right'],
    ['# db1:5432:app:me:wrong\ndb1:5432:app:me:right', 'right'],
    ['db2:*:*:*:wrong\n*:5433:*:*:wrong\n*:*:*:you:wrong\n*:*:*:me:right', 'right'],
    ['*:*:*:me:first\n*:*:*:me:second', 'first'],
    ['*:*:*:me:with\\:colon\\\\', 'with:colon\\'],
    ['*:*:*:me:with:bare:colons', 'with:bare:colons'],
    ['db1:5432:app:me:dos\r\n', 'dos'],
    ['*:*:*:me:', ''],
    ['*:*:*:me', undefined],
    ['', undefined],
  ])('%j gives what libpq would take', (text, expected) => {
    expect(findPassword(text, QUESTION)).toBe(expected);
  });

  it('knows the default sockets as localhost, others by their directory', () => {
    const text = 'localhost:*:*:*:local\n/srv/socket:*:*:*:other';
    expect(findPassword(text, { ...QUESTION, host: '/var/run/postgresql' })).toBe('local');
    expect(findPassword(text, { ...QUESTION, host: '/srv/socket' })).toBe('other');
  });
});

describe('a password file on disk', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'walhold-pgpass-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is passed over with a warning when others may read it', () => {
    const lines: string[] = [];
    const log = textLog('test', 'warning', (line) => lines.push(line));
    const path = join(folder, 'pgpass');
    writeFileSync(path, '*:*:*:*:secret', { mode: 0o600 });
    expect(passwordFromFile(path, QUESTION, log)).toBe('secret');
    chmodSync(path, 0o640);
    expect(passwordFromFile(path, QUESTION, log)).toBeUndefined();
    expect(lines.join('')).toContain('others may read it');
    expect(passwordFromFile(join(folder, 'none'), QUESTION, log)).toBeUndefined();
  });
});
