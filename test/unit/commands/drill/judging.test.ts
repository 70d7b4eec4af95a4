import { describe, expect, it } from 'vitest';
import { judgeAnswers } from '../../../../src/commands/drill/check-sql.ts';
import { describeDrill, drillJson } from '../../../../src/commands/drill/drill-report.ts';
import type { Findings } from '../../../../src/commands/drill/rehearse.ts';
import { serverAccount } from '../../../../src/commands/drill/server-account.ts';
import { judgeRecovery } from '../../../../src/commands/drill/target-reached.ts';
import { describeProof, type DrillSummaryJson } from '../../../../src/commands/drills-json.ts';
import { lsn } from '../../../../src/postgres/lsn.ts';
import type { BackupId } from '../../../../src/repository/layout.ts';

describe('the answers to --sql', () => {
  const one = (...rows: unknown[][]): { columns: number; rows: unknown[][] } => ({ columns: 1, rows });

  it('must all be true, in the first column of every row', () => {
    const details = judgeAnswers([
      one([true]),
      { columns: 0, rows: [] },
      one([true, false], [true]),
      one([true], [false]),
      one(),
      one([null]),
      one(['t']),
      one([1]),
    ]).map(({ name, ok, detail }) => [name, ok, detail]);
    expect(details).toEqual([
      ['sql 1', true, 'statement 1 returned true'],
      ['sql 3', true, 'statement 3 returned true'],
      ['sql 4', false, 'statement 4 returned false and not true'],
      ['sql 5', false, 'statement 5 returned no row'],
      ['sql 6', false, 'statement 6 returned null and not true'],
      ['sql 7', false, 'statement 7 returned "t" and not true'],
      ['sql 8', false, 'statement 8 returned 1 and not true'],
    ]);
  });

  it('prove nothing where there are none', () => {
    expect(judgeAnswers([{ columns: 0, rows: [] }])).toMatchObject([{ name: 'sql', ok: false }]);
  });
});

describe('a recovery', () => {
  const log = '2026-11-22 17:45:00.000 UTC [7] LOG:  recovery stopping before commit of transaction 740, time 2026\n';

  it('to the end has come there when the last stored record was replayed', () => {
    const end = { target: { kind: 'end' }, log: '' } as const;
    expect(judgeRecovery({ ...end, end: lsn(0x100n), storedEnd: lsn(0x100n) }).ok).toBe(true);
    expect(judgeRecovery({ ...end, end: lsn(0x100n), storedEnd: undefined }).ok).toBe(true);
    expect(judgeRecovery({ ...end, end: lsn(0x100n), storedEnd: lsn(0x108n) })).toEqual({
      name: 'recovery',
      ok: false,
      detail: 'replay ended at 0/100, and the stored WAL goes on to 0/108',
    });
  });

  it('to a target has come there when the server says where it stopped', () => {
    const target = { target: { kind: 'xid', xid: '740' }, end: lsn(0x100n), storedEnd: lsn(0x900n) } as const;
    expect(judgeRecovery({ ...target, log })).toMatchObject({
      ok: true,
      detail: 'recovered to transaction 740, LSN 0/100: recovery stopping before commit of transaction 740, time 2026',
    });
    expect(judgeRecovery({ ...target, log: '' })).toMatchObject({ ok: false });
    // What a client or a command logs is no line of the server's own.
    expect(judgeRecovery({ ...target, log: log.replace('] LOG: ', '] DETAIL: ') })).toMatchObject({ ok: false });
  });
});

describe('the account of a private server', () => {
  const recorded = { user: 'db owner', group: 'dba', uid: 4711, gid: 4711 };

  it('is whoever runs this, where that is not root; the superuser may have several names', () => {
    const { account, superusers } = serverAccount(4711, recorded);
    expect(account).toBeUndefined();
    expect(superusers.slice(0, 2)).toEqual(['postgres', 'db owner']);
    expect(serverAccount(0, { ...recorded, user: 'nobody' }).account).toMatchObject({ uid: 65534 });
  });
});

describe('the result', () => {
  const begun = Date.parse('2026-11-22T17:45:00.000Z');
  const findings: Findings = {
    restoredAt: begun + 10_000,
    openedAt: begun + 12_345,
    lastCommitAt: '2026-11-22T17:44:58.500000Z',
    targetReached: true,
    checks: [{ name: 'restore', ok: true, detail: 'fine' }],
  };
  const json = (more: Partial<Findings> = {}): ReturnType<typeof drillJson> =>
    drillJson('20261122T174500Z-full' as BackupId, begun, { ...findings, ...more });

  it('has the shape of the contract, in seconds', () => {
    expect(json()).toEqual({
      ok: true,
      backup: '20261122T174500Z-full',
      targetReached: true,
      rtoSeconds: 12.345,
      restoreSeconds: 10,
      replaySeconds: 2.345,
      lastCommitAt: '2026-11-22T17:44:58.500000Z',
      rpoSeconds: 1.5,
      checks: [{ name: 'restore', ok: true, detail: 'fine' }],
    });
  });

  it('is bad with one bad check, or without the target', () => {
    expect(json({ checks: [{ name: 'restore', ok: false, detail: '' }] }).ok).toBe(false);
    expect(json({ targetReached: false }).ok).toBe(false);
  });

  it('does not make up what was never measured', () => {
    const none = { restoredAt: undefined, openedAt: undefined, lastCommitAt: undefined, targetReached: false };
    const nulls = { rtoSeconds: null, restoreSeconds: null, replaySeconds: null, lastCommitAt: null, rpoSeconds: null };
    expect(json(none)).toMatchObject(nulls);
    expect(describeDrill(json(none), 'the end of the WAL')).toContain('it did not come to that');
  });

  it('keeps a hostile cluster’s words short and plain', () => {
    const [check] = json({ checks: [{ name: 'sql', ok: false, detail: `\u001b[31m${'x'.repeat(10_000)}` }] }).checks;
    expect(check?.detail).toMatch(/^ \[31mx+$/);
    expect(check?.detail.length).toBe(500);
  });
});

describe('what list and status say of it', () => {
  const proven: DrillSummaryJson = {
    at: '2026-11-22T17:45:00.000Z',
    ok: true,
    backup: '20261122T174500Z-full',
    target: 'the end of the WAL',
    targetReached: true,
    rtoSeconds: 12.3,
    rpoSeconds: 4.5,
    lastCommitAt: null,
    failed: [],
  };
  const wrong = { ...proven, at: '2026-11-23T17:45:00.000Z', ok: false, failed: ['recovery', 'sql 1'] };

  it.each([
    [null, null, 'was never proven by a drill'],
    [
      proven,
      proven,
      'was last proven at 2026-11-22T17:45:00.000Z, with backup 20261122T174500Z-full: 12.3 s, the last commit 4.5 s old',
    ],
    [
      wrong,
      null,
      'failed in the drill at 2026-11-23T17:45:00.000Z, with backup 20261122T174500Z-full (recovery, sql 1); it was never proven',
    ],
    [wrong, proven, expect.stringMatching(/^failed in the drill .*; it was last proven at 2026-11-22/) as string],
  ])('is one line', (lastDrill, lastProven, line) => {
    expect(describeProof({ lastDrill, lastProven })).toEqual(line);
  });
});
