/** The configuration of a private server: its own from the first line to the last, with nothing of the cluster's. Pure. */
import { parseConf, quoteConfValue } from '../postgres/conf-file.ts';

/** The five settings that a server replaying WAL must not undercut, as pg_control has them. */
export interface ReplayedSettings {
  maxConnections: number;
  maxWorkerProcesses: number;
  maxWalSenders: number;
  maxPreparedXacts: number;
  maxLocksPerXact: number;
}

export interface PrivateSettings {
  major: number;
  recorded: ReplayedSettings;
  socketDirectory: string;
  hbaFile: string;
  identFile: string;
  /** `shared_preload_libraries`, where somebody asks for any. */
  preload: string;
  /** From {@link recoverySettings}. */
  recovery: readonly (readonly [name: string, value: string])[];
}

/** Enough for the checks' own connections. */
const LEAST_CONNECTIONS = 30;
/** Prepared transactions of a later, larger setting of the original are no reason to end a recovery; they cost little. */
const LEAST_PREPARED_XACTS = 200;
/** A subscriber's WAL moves replication origins, and each needs a place here though nothing subscribes. */
const ORIGINS = '1000';

/** `postgresql.conf`. */
export function privateConf(settings: PrivateSettings): string {
  const lines = [...ownSettings(settings), ...settings.recovery];
  return lines.map(([name, value]) => `${name} = ${quoteConfValue(value)}\n`).join('');
}

/** Whoever reaches the socket is the server's own account or root. */
export const PRIVATE_HBA = 'local all all trust\n';

/** Of a restored `postgresql.auto.conf` what makes the server recover: of each setting the last, as the server takes it. */
export function recoverySettings(autoConf: string): [name: string, value: string][] {
  const found = new Map<string, string>();
  for (const { name, value } of parseConf(autoConf).entries) {
    if (!RECOVERY.test(name)) continue;
    found.delete(name);
    found.set(name, value);
  }
  return [...found].filter(([, value]) => value !== '');
}

const RECOVERY = /^(?:restore_command|recovery_target(?:_[a-z]+)?|recovery_prefetch)$/;

function ownSettings(settings: PrivateSettings): [string, string][] {
  const { major, recorded } = settings;
  const own: Record<string, string | number> = {
    listen_addresses: '',
    port: 5432,
    unix_socket_directories: settings.socketDirectory,
    unix_socket_permissions: '0700',
    hba_file: settings.hbaFile,
    ident_file: settings.identFile,
    ssl: 'off',
    // Nothing leaves this server, and nothing runs in it by itself.
    archive_mode: 'off',
    archive_command: '',
    primary_conninfo: '',
    max_logical_replication_workers: 0,
    max_replication_slots: ORIGINS,
    shared_preload_libraries: settings.preload,
    session_preload_libraries: '',
    local_preload_libraries: '',
    autovacuum: 'off',
    // It recovers, then it is looked at: no queries between, so that no parameter can halt the recovery.
    hot_standby: 'off',
    wal_level: 'replica',
    max_connections: Math.max(recorded.maxConnections, LEAST_CONNECTIONS),
    max_worker_processes: recorded.maxWorkerProcesses,
    max_wal_senders: recorded.maxWalSenders,
    max_prepared_transactions: Math.max(recorded.maxPreparedXacts, LEAST_PREPARED_XACTS),
    max_locks_per_transaction: recorded.maxLocksPerXact,
    // A guest on its machine.
    shared_buffers: '128MB',
    huge_pages: 'off',
    work_mem: '16MB',
    maintenance_work_mem: '64MB',
    restart_after_crash: 'off',
    // The log is read by a program.
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '%m [%p] ',
    log_min_messages: 'warning',
    log_timezone: 'UTC',
    timezone: 'UTC',
    lc_messages: 'C',
  };
  if (major >= 17) own['event_triggers'] = 'off';
  if (major >= 18) own['max_active_replication_origins'] = ORIGINS;
  return Object.entries(own).map(([name, value]) => [name, String(value)]);
}
