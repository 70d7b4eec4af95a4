import { resolve } from 'node:path';
import { Option } from 'commander';
import { WalholdError } from '../../base/errors.ts';
import type { BackupOptions } from '../../commands/backup.ts';
import { parseKeep } from '../../commands/backup/keep.ts';
import { parseRate } from '../../commands/backup/rate.ts';
import { parseTime } from '../../postgres/units.ts';
import { progressOutput, withProgressOptions, type ProgressFlags } from '../progress-options.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

interface BackupFlags extends CommonOptions, ProgressFlags {
  pgdata?: string;
  dbname?: string;
  type: BackupOptions['type'];
  label: string;
  checkpoint: 'fast' | 'spread';
  primary?: string;
  walTimeout: string;
  allowBadPages?: boolean;
  maxRate?: string;
  keep?: string;
  resume?: boolean;
}

/** MAXPGPATH: the server takes no longer label. */
const LONGEST_LABEL = 1024;

export function addBackupCommand({ program, run }: Companion): void {
  const command = program.command('backup').description('take a base backup into every repository; prints its id');
  withProgressOptions(withCommonOptions(command, 'writes'))
    .option('-D, --pgdata <DIR>', 'data directory (default: PGDATA, else where the server says)')
    .option('-d, --dbname <CONNSTR>', 'connection string, as for psql; PG* variables count too')
    .addOption(
      choice(
        '--type <TYPE>',
        'kind of backup; auto: incremental where that can be',
        ['full', 'incremental', 'auto'],
        'full',
      ),
    )
    .option('-l, --label <LABEL>', 'label of the backup', 'walhold base backup')
    // A setting, and so taken before commander sees it: here for the help.
    .option('-j, --jobs <N>', 'threads that copy (the setting jobs)')
    .addOption(
      choice('-c, --checkpoint <MODE>', 'make the first checkpoint fast, or spread', ['fast', 'spread'], 'spread'),
    )
    .option('--primary <CONNSTR>', 'of a standby: where to switch WAL (default: its primary_conninfo)')
    .option('--wal-timeout <TIME>', 'how long the last WAL may take to arrive', '1h')
    .option('--allow-bad-pages', 'list pages with wrong checksums, and take the backup nevertheless')
    .option('-r, --max-rate <RATE>', 'most bytes to read a second: kilobytes, or with suffix k or M')
    .option('--keep <DURATION>', 'keep, and lock, the backup for so long at least; "forever" for ever')
    .option(
      '--resume',
      'go on with the newest backup if it was interrupted and can be gone on with; else take a new one',
    )
    .action(async (flags: BackupFlags) => {
      const options = optionsOf(flags);
      await run(flags, async (context) => {
        const { backup } = await import('../../commands/backup.ts');
        const dataDirectory = flags.pgdata === undefined ? undefined : resolve(context.workingDirectory, flags.pgdata);
        const { refreshStatus } = await import('../../commands/metrics/keep-metrics.ts');
        const server = { pgdata: dataDirectory, dbname: options.connectionString };
        return await refreshStatus(context, server, async () => await backup(context, { ...options, dataDirectory }));
      });
    });
}

function optionsOf(flags: BackupFlags): Omit<BackupOptions, 'dataDirectory'> {
  const wait = parseTime(flags.walTimeout, 's');
  if (!wait.ok) throw new WalholdError('usage', 'bad value for --wal-timeout', { detail: wait.message });
  return {
    type: flags.type,
    connectionString: flags.dbname,
    label: labelOf(flags.label),
    fast: flags.checkpoint === 'fast',
    primary: flags.primary,
    walTimeoutMs: wait.value,
    allowBadPages: flags.allowBadPages === true,
    resume: flags.resume === true,
    keep: flags.keep === undefined ? undefined : parseKeep(flags.keep),
    maxRate: flags.maxRate === undefined ? undefined : parseRate(flags.maxRate),
    progress: progressOutput(flags),
    pid: process.pid,
  };
}

function labelOf(label: string): string {
  // eslint-disable-next-line no-control-regex -- a line break would imitate other fields of the backup's label
  const detail = /[\u0000-\u001f\u007f]/.test(label)
    ? 'it contains a line break or another control character'
    : Buffer.byteLength(label) > LONGEST_LABEL
      ? `it is longer than ${LONGEST_LABEL} bytes`
      : undefined;
  if (detail === undefined) return label;
  throw new WalholdError('usage', 'bad value for --label', { detail });
}

function choice(flags: string, description: string, choices: readonly string[], byDefault: string): Option {
  return new Option(flags, description).choices(choices).default(byDefault);
}
