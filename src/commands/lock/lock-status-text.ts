import { formatTime } from '../../postgres/units.ts';
import { formatBytes } from '../format-bytes.ts';
import { plainText } from '../plain-text.ts';
import { textTable } from '../text-table.ts';
import { endText, type LocksJson, type LockStatusJson, type RepositoryLocksJson } from './lock-status-json.ts';

/** For people: for each repository what the bucket says, a line per class, a line per backup, and what is wrong. Times are UTC. */
export function describeLockStatus({ repositories }: LockStatusJson): string {
  return repositories.map(describeRepository).join('\n');
}

const RIGHT: ReadonlySet<string> = new Set(['OBJECTS', 'SIZE', 'HELD']);

function describeRepository(one: RepositoryLocksJson): string {
  const { lock, classes, backups, proof } = one;
  const asked = lock === null ? 'no locks are asked for' : `${lock.mode}, ${days(lock.periodSeconds)} from the write`;
  const rows = Object.entries(classes).map(([name, locks]) => [name, ...cells(locks)]);
  const parts = [
    `repository ${one.repository} (${one.url}): ${asked}\n${describeBucket(one)}`,
    textTable(['CLASS', 'OBJECTS', 'SIZE', 'LOCKS', 'EARLIEST END', 'LATEST END', 'HELD'], rows, RIGHT),
  ];
  if (backups.length > 0) {
    const lines = backups.map((backup) => [
      backup.id,
      backup.needed ? (backup.neededUntil === null ? 'no known end' : endText(backup.neededUntil)) : 'not needed',
      ...cells(backup).slice(0, -1),
      backup.isHeld ? 'yes' : 'no',
    ]);
    const header = ['BACKUP', 'NEEDED UNTIL', 'OBJECTS', 'SIZE', 'LOCKS', 'EARLIEST END', 'LATEST END', 'HELD'];
    parts.push(textTable(header, lines, new Set(['OBJECTS', 'SIZE'])));
  }
  parts.push(
    `${proof.byStore} objects proven now, ${proof.byRecord} by the record of the last run, ${proof.byAge} by their age\n`,
    ...faults(one),
  );
  return parts.join('\n');
}

function describeBucket({ bucket }: RepositoryLocksJson): string {
  const { versioning, lockable, defaultRetention, lifecycle, why } = bucket;
  const retention =
    defaultRetention === null || typeof defaultRetention === 'string'
      ? defaultRetention
      : `${defaultRetention.mode} for ${days(defaultRetention.periodSeconds)}`;
  const facts = [
    `versioning ${versioning ?? 'unknown'}`,
    `locks ${lockable === null ? 'unknown' : lockable ? 'possible' : 'impossible'}`,
    `locked by default: ${retention ?? 'unknown'}`,
    ...(lifecycle ?? []).map((rule) => `lifecycle: ${rule}`),
    ...why.map((reason) => `not seen: ${reason}`),
  ];
  return facts.map((fact) => `  ${plainText(fact)}\n`).join('');
}

function cells({ objects, bytes, modes, earliest, latest, held }: LocksJson): string[] {
  const kinds = Object.entries(modes).map(([mode, count]) => (count === objects ? mode : `${count} ${mode}`));
  return [String(objects), formatBytes(bytes), kinds.join(', '), endText(earliest), endText(latest), String(held)];
}

function faults({ short, tampering, damagedBackups, proof }: RepositoryLocksJson): string[] {
  const lines: string[] = [];
  if (proof.belied > 0 && proof.byAge > 0) {
    lines.push(
      `${proof.belied} of those asked for are locked for less than their age says, so the age of ${proof.byAge} others says nothing ` +
        '("walhold lock extend" asks for each)',
    );
  }
  if (short.count > 0) {
    lines.push(`${short.count} objects are needed, and locked for too short ("walhold lock extend" lengthens them):`);
    for (const { object, objects, lockedUntil, neededUntil } of short.objects) {
      const many = objects === 1 ? '' : ` (${objects} objects)`;
      lines.push(`  ${object}${many}: locked until ${endText(lockedUntil)}, needed until ${endText(neededUntil)}`);
    }
  }
  if (tampering.count > 0) lines.push(`${tampering.count} traces of tampering:`);
  for (const { object, detail } of tampering.traces) lines.push(`  ${object}: ${detail ?? ''}`);
  for (const id of damagedBackups) lines.push(`backup ${id} cannot be read: see "walhold verify"`);
  return lines.length === 0 ? [] : [lines.map((line) => `${plainText(line)}\n`).join('')];
}

function days(seconds: number): string {
  return formatTime(seconds * 1000);
}
