import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { quoteShellWord } from '../../postgres/shell-quote.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import type { CommandContext } from '../command-context.ts';
import type { Target } from './prepare-target.ts';
import type { RecoveryConf } from './recovery-conf.ts';
import { credentialVariables } from './restore-command-line.ts';
import type { RestoreOptions } from './restore-options.ts';

export interface Done {
  record: BackupRecord;
  target: Target;
  conf: RecoveryConf;
  /** Where configuration from outside lies now; `undefined`: there was none. */
  configFiles: string | undefined;
  /** Databases that are not restored. */
  others: readonly string[];
}

/** Says what the operator does now. */
export function sayNext({ log, config, environment }: CommandContext, options: RestoreOptions, done: Done): void {
  const { conf, record, configFiles } = done;
  const usesS3 = config.repositories.some(({ store }) => store.scheme === 's3');
  const credentials = usesS3 ? credentialVariables(environment) : [];
  if (credentials.length > 0) {
    log.warning(`the server needs these variables in its environment too: ${credentials.join(', ')}`, {
      hint: 'They are never written down; without them restore_command cannot read the repository.',
    });
  }
  if (configFiles !== undefined) log.info(`configuration from outside the data directory lies in ${configFiles}`);
  log.info(`next: ${startCommand(done)}`);
  if (conf.standby) log.info('the server then follows as a standby; set primary_conninfo for streaming');
  else if (conf.target.kind === 'end') log.info('the server then recovers to the end of the WAL and takes writes');
  else if (conf.action === 'pause') {
    log.info('the server then recovers to the target and pauses: look, then run "select pg_wal_replay_resume()"');
  }
  sayOthers(log, done);
  if (record.badPageCount > 0) {
    log.warning(`the backup was taken with ${record.badPageCount} pages whose checksums were wrong`);
  }
  if (options.standby || conf.archiveOff) return;
  log.info('it archives as the original did: see that no other server pushes into the same repository');
}

function sayOthers(log: Log, { others, conf }: Done): void {
  if (others.length === 0) return;
  const names = others.map((name) => `"${name.replaceAll('"', '""')}"`);
  const shown = names.length > MOST_NAMES ? [...names.slice(0, MOST_NAMES), '…'] : names;
  log.warning(`${others.length} databases hold nothing but zeros, and refuse connections: ${shown.join(', ')}`, {
    hint: 'When the recovery has ended, drop each with DROP DATABASE; then take a new backup.',
  });
  if (!conf.invalidPagesIgnored) return;
  log.info(
    'the recovery ignores invalid pages (ignore_invalid_pages), and warns of each in its log: see that all are of these databases',
  );
}

const MOST_NAMES = 50;

/** Settings in a Debian-like configuration name the old places, so each is overruled. */
function startCommand({ target, record, configFiles }: Done): string {
  const directory = quoteShellWord(target.dataDirectory);
  const { config } = record;
  if (config === undefined || configFiles === undefined) return `pg_ctl -D ${directory} start`;
  const moved = (path: string): string => join(configFiles, path);
  const settings = [
    ['data_directory', target.dataDirectory],
    ['config_file', config.configFile === undefined ? undefined : moved(config.configFile)],
    ['hba_file', config.hbaFile === undefined ? undefined : moved(config.hbaFile)],
    ['ident_file', config.identFile === undefined ? undefined : moved(config.identFile)],
  ];
  const options = settings
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `-c ${name}=${quoteShellWord(value ?? '')}`)
    .join(' ');
  return `pg_ctl -D ${directory} -o ${quoteShellWord(options)} start`;
}
