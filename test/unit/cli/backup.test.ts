import { describe, expect, it } from 'vitest';
import { callCompanion } from '../../support/companion-call.ts';

const REPO = ['--repo', 'file:///nonexistent/repository'];

describe('walhold backup', () => {
  it.each([
    [['--keep', 'a while'], 'bad value for --keep'],
    [['--keep', '0'], 'bad value for --keep'],
    [['--type', 'differential'], 'option "--type <TYPE>" argument "differential" is invalid'],
    [['-c', 'slow'], 'argument "slow" is invalid'],
    [['--progress-format', 'xml'], 'argument "xml" is invalid'],
    [['--label', 'two\nlines'], 'bad value for --label'],
    [['--label', 'x'.repeat(1025)], 'bad value for --label'],
    [['--max-rate', 'fast'], 'bad value for --max-rate'],
    [['--wal-timeout', 'soon'], 'bad value for --wal-timeout'],
    [['-j', 'many'], 'jobs'],
    [['-d', 'host=a nonsense=b'], 'connection parameter nonsense is unknown'],
    [['-d', 'password=secret user'], 'could not read the connection string'],
    [['extra'], 'too many arguments'],
  ])('refuses %j with one clear line and status 2', async (flags, message) => {
    const { status, stdout, stderr } = await callCompanion(['backup', ...REPO, ...flags]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.split('\n')[0]).toContain(`walhold: error: `);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('secret');
  });

  it('says where it looked for a server that is not there, and how to name another', async () => {
    const flags = ['-d', 'host=/nonexistent/socket port=5433 user=me'];
    const { status, stdout, stderr } = await callCompanion(['backup', ...REPO, ...flags]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('could not connect to the server on socket /nonexistent/socket/.s.PGSQL.5433 as me');
    expect(stderr).toContain('walhold: hint: Name the server with -d or the PG* variables');
  });
});
