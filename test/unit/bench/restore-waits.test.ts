import { expect, test } from 'vitest';
import { recoveryOf } from '../../../scripts/bench/archive/restore-waits.ts';

const LOG = `1764295000.100 [10] DEBUG:  executing restore command "fetch 00000002.history pg_wal/RECOVERYHISTORY"
1764295000.150 [10] DEBUG:  could not restore file "00000002.history" from archive: child process exited with exit code 1
1764295000.151 [10] LOG:  starting archive recovery
1764295000.200 [10] DEBUG:  executing restore command "fetch 000000010000000000000004 pg_wal/RECOVERYXLOG"
something that a command printed
1764295000.320 [10] LOG:  restored log file "000000010000000000000004" from archive
1764295001.000 [10] LOG:  redo done at 0/4FFFF98 system usage: CPU: user: 0.10 s, system: 0.02 s, elapsed: 0.70 s
1764295001.200 [10] DEBUG:  executing restore command "fetch 000000010000000000000004 pg_wal/RECOVERYXLOG"
1764295001.900 [10] LOG:  restored log file "000000010000000000000004" from archive
`;

test('what replay waited is the time from each call to its outcome, up to the last record', () => {
  const found = recoveryOf(LOG);
  expect(found).toMatchObject({ doneLsn: '0/4FFFF98', doneAt: 1764295001, calls: 2 });
  expect(found?.waited).toBeCloseTo(0.17, 6);
});

test('a recovery that goes on is none yet', () => {
  expect(recoveryOf(LOG.slice(0, LOG.indexOf('1764295001.000')))).toBeUndefined();
});
