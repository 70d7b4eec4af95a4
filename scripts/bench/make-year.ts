// Makes a directory that looks like the repository of a busy year: WAL in segments of 16 MB, a backup every hour, everything locked
// on files (read-only, retained by its access time) as after a run of `lock extend`.
//
//   scripts/with-node scripts/bench/make-year.ts DIRECTORY --segments 2000000 --backups 8760 --period-days 60 [--links]
//
// With --links the segments of a log are links to one file, stored at one time: made in a fifth of the time.
//
// Names, records, the sizes in them and dates are real; what WAL and parts contain is not, since nothing that is measured reads it. Prints JSON.
import { closeSync, futimesSync, linkSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { lsn } from '../../src/postgres/lsn.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { segmentName, segmentsPerLog } from '../../src/postgres/wal-name.ts';
import { formatBackupRecord } from '../../src/repository/backup-record-format.ts';
import type { BackupRecord } from '../../src/repository/backup-record.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { backupId, commitKey, IDENTITY_KEY, logPrefix, manifestKey, partKey } from '../../src/repository/layout.ts';
import { putBackup } from '../../test/support/stored-backup.ts';
import { SYSTEM_ID } from '../../test/support/file-repository.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;
const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const SMALL = Buffer.alloc(100, 'x');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    segments: { type: 'string', default: '2000000' },
    backups: { type: 'string', default: '8760' },
    'period-days': { type: 'string', default: '60' },
    links: { type: 'boolean', default: false },
  },
});
const [root = ''] = positionals;
if (root === '') throw new Error('which directory?');
const segments = Number(values.segments);
const backups = Number(values.backups);
const now = Date.now();
const begun = now - YEAR_MS;
/** Three quarters of a period are left. */
const until = Math.ceil((now + (Number(values['period-days']) * DAY_MS * 3) / 4) / 1000);

const directories = new Set<string>();

/** A locked object, as the store leaves it. */
function put(key: string, bytes: Uint8Array, storedAt: number): void {
  const path = join(root, key);
  const directory = dirname(path);
  if (!directories.has(directory)) {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    directories.add(directory);
  }
  const file = openSync(path, 'wx', 0o440);
  writeSync(file, bytes);
  futimesSync(file, until, storedAt / 1000);
  closeSync(file);
}

const timeline = timelineId(1);
const started = performance.now();
put(
  IDENTITY_KEY,
  formatIdentity({ format: 1, systemId: SYSTEM_ID, createdAt: new Date(begun).toISOString(), by: 'make-year' }),
  begun,
);
const perLog = segmentsPerLog(SEGMENT_BYTES);
let linked = '';
for (let segno = 0; segno < segments; segno += 1) {
  const name = segmentName(timeline, BigInt(segno), SEGMENT_BYTES);
  const key = `${logPrefix(name)}${name}.zst`;
  if (values.links && segno % perLog !== 0) linkSync(linked, join(root, key));
  else {
    put(key, SMALL, begun + (YEAR_MS * segno) / segments);
    linked = join(root, key);
  }
}
const template = await templateOf();
for (let n = 0; n < backups; n += 1) {
  const at = begun + Math.floor((YEAR_MS * n) / backups / 1000) * 1000;
  const record = recordAt(template, at, Math.floor((segments * n) / backups));
  for (const { number, storedBytes } of record.parts)
    put(partKey(record.id, number), Buffer.alloc(storedBytes, 'x'), at);
  put(manifestKey(record.id), Buffer.alloc(record.manifest.storedBytes, 'x'), at);
  put(commitKey(record.id), formatBackupRecord(record), at);
}
const seconds = (performance.now() - started) / 1000;
process.stdout.write(`${JSON.stringify({ segments, backups, directories: directories.size, seconds })}\n`);

/** A backup of a few files: what differs between backups is filled in by `recordAt`. */
async function templateOf(): Promise<BackupRecord> {
  const nowhere = { put: () => Promise.resolve() };
  return await putBackup(nowhere, { startLsn: lsn(40n), stopLsn: lsn(80n), segmentBytes: SEGMENT_BYTES });
}

function recordAt(record: BackupRecord, at: number, segno: number): BackupRecord {
  const startLsn = lsn(BigInt(segno) * BigInt(SEGMENT_BYTES) + 40n);
  const stopLsn = lsn(startLsn + 4000n);
  const name = segmentName(timeline, BigInt(segno), SEGMENT_BYTES);
  const time = new Date(at).toISOString();
  return {
    ...record,
    id: backupId(new Date(at), 'full'),
    startedAt: time,
    stoppedAt: time,
    startLsn,
    stopLsn,
    walRequired: { first: name, last: name },
  };
}
