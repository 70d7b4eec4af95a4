import { statfs } from 'node:fs/promises';
import { newCase, type Case, type Measure, type Values } from '../figures.ts';
import { sizeOf } from '../size-of.ts';
import { timedBackup, timedRestore } from '../trials.ts';
import { takeTurn } from '../turns.ts';
import type { Bench } from './bench.ts';
import type { DataSet } from './data-set.ts';
import { entrants, takePart, type Entrant } from './entrants.ts';
import { MIB, PEAK, SECONDS, STORED, valuesOf } from './measures.ts';
import { prove } from './restored.ts';
import { openSubject, warmUp, type Subject } from './subject.ts';

const ON_DISK: Measure = { key: 'onDiskMb', title: 'on disk, MB' };

/** They write every byte of a hole. */
const FILLS_HOLES = ['pgBackRest', 'pg_basebackup'];
const ROOM = 1.4;

/** Full backups of one cluster, and their restores; the first of each contender must start as a server. */
export async function wholeBackups(bench: Bench, data: DataSet): Promise<void> {
  const { options, tell } = bench;
  await using subject = await openSubject(data, options.keep, tell);
  const contenders = await entrants(subject.cluster, bench);
  takePart(bench, contenders);
  await warmUp(subject);
  const what = `${data.title} (${Math.round(subject.bytes / MIB)} MB)`;
  const backups = newCase(`A full backup: ${what}`, 'walhold', [SECONDS, PEAK, STORED]);
  const restores = newCase(`A restore of it: ${what}`, 'walhold', [SECONDS, PEAK, ON_DISK]);
  bench.cases.push(backups, restores);
  await leaveRoom(subject, restores);
  for (let round = 0; round < options.rounds; round += 1) {
    const turn = { round, rounds: options.rounds, tell };
    await takeTurn(backups, contenders, turn, async (one) => await fullBackup(subject, one));
    const stored = contenders.filter(({ name }) => !backups.missing.has(name));
    await takeTurn(restores, stored, turn, async (one) => await restore(subject, one, one.restore, round === 0));
  }
}

/** Stores anew, whatever was stored before. */
export async function fullBackup({ cluster }: Subject, contender: Entrant): Promise<Values> {
  await contender.forget?.();
  const measured = await timedBackup(cluster, contender, contender.backup());
  return { ...valuesOf(measured), storedMb: (await sizeOf(cluster, contender.backupFolders())) / MIB };
}

/** Of what was stored last. */
export async function restore(
  subject: Subject,
  contender: Entrant,
  into: Entrant['restore'],
  proven: boolean,
): Promise<Values> {
  let onDiskMb = Number.NaN;
  const measured = await timedRestore(subject.cluster, into, async (target) => {
    onDiskMb = (await sizeOf(subject.cluster, [target])) / MIB;
    if (proven) await prove(subject, contender, target);
  });
  return { ...valuesOf(measured), onDiskMb };
}

async function leaveRoom({ cluster, bytes }: Subject, restores: Case): Promise<void> {
  const { bavail, bsize } = await statfs(cluster.place.path);
  if (bavail * bsize > bytes * ROOM) return;
  for (const name of FILLS_HOLES)
    restores.missing.set(name, 'it fills all holes, and the disk has not got that much room');
}
