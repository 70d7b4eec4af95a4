import type { AttemptNote } from '../../../repository/attempt-note.ts';
import { startOfBackupId, typeOfBackup, type BackupId } from '../../../repository/layout.ts';
import type { InterruptedBackup } from '../../../repository/interrupted-backup.ts';
import { GRACE_MS } from '../../../repository/retention/expiry-plan.ts';
import type { BackupType } from '../backup-type.ts';

/** What is true of the server and of this host now. */
export interface ServerNow {
  /** Milliseconds since 1970, by the later of the clocks that count. */
  now: number;
  host: string;
  /** Absolute. */
  dataDirectory: string;
  catalogVersion: number;
  dataChecksums: boolean;
  inRecovery: boolean;
  /** As in a note. */
  tablespaces: readonly string[];
  timeline: number;
  fullPageWrites: boolean;
  fsync: boolean;
  /** When the host started; milliseconds since 1970. */
  bootedAt: number;
}

/** `expire` gives an upload up after `GRACE_MS`. Until then what is stored must be read, and something new be stored. */
const OLDEST_MS: number = GRACE_MS - 3 * 86_400_000;
const DAY_MS = 86_400_000;
/** By so much clocks may differ. */
const CLOCKS_MS = 5 * 60_000;

/** Why an interrupted backup is not of the `--type` that is asked for; `undefined`: it is. */
export function whyOtherType(id: BackupId, type: BackupType): string | undefined {
  const found = typeOfBackup(id);
  if (type === 'auto' || type === found) return undefined;
  return found === 'full'
    ? 'it is a full one, and an incremental one is asked for'
    : 'it is an incremental one, and a full one is asked for';
}

/**
 * Why this interrupted backup cannot be gone on with as if it had been one long backup of this server, ready to follow a colon;
 * `undefined`: nothing known so far. All attempts count: each has copied what it found.
 */
export function whyNotResumed(found: InterruptedBackup, server: ServerNow): string | undefined {
  const { id, notes, fault, manifest, parts, lastStoredAt } = found;
  const [first] = notes;
  if (fault !== undefined) return fault;
  if (first?.attempt !== 1 || parts.size === 0) return 'it had hardly begun';
  if (typeOfBackup(id) === 'incremental' && first.increment === undefined) return 'what it builds on was not noted';
  // Whatever clock did that: it would stand before backups that are to come.
  if (startOfBackupId(id) > server.now + CLOCKS_MS) return 'its name is of the future';
  if (manifest.length > 0) return 'its manifest is stored already, and its end with it';
  const idleMs = server.now - lastStoredAt.getTime();
  if (idleMs > OLDEST_MS) return `nothing was stored of it for ${Math.floor(idleMs / DAY_MS)} days`;
  if (!server.fullPageWrites) return 'full_page_writes is off';
  if (!server.fsync && server.bootedAt > Date.parse(first.at)) {
    return 'fsync is off, and the host has started anew: WAL of what was copied may be lost';
  }
  for (const note of notes) {
    const why = whyOther(note, server) ?? whyOtherIncrement(note, first);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** What the attempts have left out must be what the first one would have. */
function whyOtherIncrement({ increment: one }: AttemptNote, { increment: other }: AttemptNote): string | undefined {
  if (one?.parent === other?.parent && one?.changes === other?.changes) return undefined;
  return 'its attempts do not build on the same backup in the same way';
}

function whyOther(note: AttemptNote, server: ServerNow): string | undefined {
  const { host, dataDirectory, dataChecksums } = note;
  if (host !== server.host || dataDirectory !== server.dataDirectory)
    return `it was taken from ${dataDirectory} on ${host}`;
  if (note.inRecovery !== server.inRecovery)
    return `the server was ${note.inRecovery ? 'a standby' : 'no standby'} then`;
  if (note.timeline !== server.timeline) return `it is on timeline ${note.timeline}, the server on ${server.timeline}`;
  if (note.catalogVersion !== server.catalogVersion) return 'the server was of another version';
  // Replay of their making would go to their old places, wherever the backup is restored.
  if (note.tablespaces.join() !== server.tablespaces.join()) return 'there were other tablespaces then';
  if (dataChecksums !== server.dataChecksums) return `data_checksums was ${dataChecksums ? 'on' : 'off'} then`;
  return undefined;
}
