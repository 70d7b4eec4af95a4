/** The settings of a recovery, and the place that PostgreSQL reads them from. Pure. */
import { parseConf, quoteConfValue } from '../../postgres/conf-file.ts';
import { formatLsn } from '../../postgres/lsn.ts';
import { formatTargetTime } from '../../postgres/target-time.ts';
import type { RecoveryTarget } from '../../repository/recovery-target.ts';
import type { TargetAction } from './restore-options.ts';

export interface RecoveryConf {
  target: RecoveryTarget;
  exclusive: boolean;
  action: TargetAction;
  /** `recovery_target_timeline`. */
  timeline: string;
  restoreCommand: string;
  standby: boolean;
  archiveOff: boolean;
  /** Off where the server would ask for WAL behind its target that must be refused. */
  prefetchOff: boolean;
  /** Some files are of zeros, and the log may refer to pages in them that it does not bring whole. */
  invalidPagesIgnored: boolean;
}

/** Of an earlier recovery of the original, or for it alone. */
const DROPPED =
  /^(recovery_target|restore_command$|recovery_end_command$|archive_cleanup_command$|primary_slot_name$|promote_trigger_file$|ignore_invalid_pages$)/;
const TARGETS: Readonly<Record<Exclude<RecoveryTarget['kind'], 'end'>, string>> = {
  time: 'recovery_target_time',
  lsn: 'recovery_target_lsn',
  xid: 'recovery_target_xid',
  name: 'recovery_target_name',
  immediate: 'recovery_target',
};

/**
 * `postgresql.auto.conf` with the settings of this recovery at its end, and without older ones. `mainConf`: the text of
 * `postgresql.conf`, whose own recovery targets are overruled: the server refuses to start with two.
 */
export function recoveryConf(conf: RecoveryConf, autoConf: string, mainConf: string): string {
  const kept = withoutOld(autoConf, conf.standby);
  const own = settingsOf(conf);
  const set = new Set(own.map(([name]) => name));
  const elsewhere = new Set(parseConf(mainConf).entries.map(({ name }) => name));
  // First, since the server takes a target that comes after another for a second one, even an empty one.
  const overruled = Object.values(TARGETS).filter((name) => elsewhere.has(name) && !set.has(name));
  const lines = [...overruled.map((name): [string, string] => [name, '']), ...own];
  const text = lines.map(([name, value]) => `${name} = ${quoteConfValue(value)}\n`).join('');
  return `${kept}# written by walhold restore\n${text}`;
}

/** The signal file that makes a server recover with them. */
export function signalFile({ standby }: Pick<RecoveryConf, 'standby'>): string {
  return standby ? 'standby.signal' : 'recovery.signal';
}

function settingsOf(conf: RecoveryConf): [string, string][] {
  const { target } = conf;
  const settings: [string, string][] = [
    ['restore_command', conf.restoreCommand],
    ['recovery_target_timeline', conf.timeline],
  ];
  if (conf.archiveOff) settings.push(['archive_mode', 'off']);
  if (conf.prefetchOff) settings.push(['recovery_prefetch', 'off']);
  if (conf.invalidPagesIgnored) settings.push(['ignore_invalid_pages', 'on']);
  if (target.kind === 'end') return settings;
  settings.push(['recovery_target_action', conf.action]);
  settings.push(['recovery_target_inclusive', conf.exclusive ? 'off' : 'on']);
  settings.push([TARGETS[target.kind], valueOf(target)]);
  return settings;
}

function valueOf(target: Exclude<RecoveryTarget, { kind: 'end' }>): string {
  switch (target.kind) {
    case 'time':
      return formatTargetTime(target.time);
    case 'lsn':
      return formatLsn(target.lsn);
    case 'xid':
      return target.xid;
    case 'name':
      return target.name;
    case 'immediate':
      return 'immediate';
  }
}

function withoutOld(text: string, standby: boolean): string {
  const dropped = new Set(
    parseConf(text)
      .entries.filter(({ name }) => DROPPED.test(name) || (name === 'primary_conninfo' && !standby))
      .map(({ line }) => line),
  );
  const kept = text.split('\n').filter((_, index) => !dropped.has(index + 1));
  const joined = kept.join('\n');
  return joined === '' || joined.endsWith('\n') ? joined : `${joined}\n`;
}
