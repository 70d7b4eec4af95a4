/** What is wrong, and what should be looked at: the head of a report. Pure. */
import { shortText } from './markup.ts';
import type { ReportFacts } from './report-facts.ts';
import { DAY_MS, HOUR_MS } from './time-scale.ts';
import { durationText, timeText } from './time-text.ts';

export interface Finding {
  /** `wrong`: something is lost, or nobody can say; `look`: a person should look. */
  readonly level: 'wrong' | 'look';
  readonly text: string;
}

/** A drill is meant to be weekly, a lock to be lengthened daily. */
const PROVEN_MS: number = 35 * DAY_MS;
const LOCK_NEAR_MS: number = 3 * DAY_MS;
/** Without a window in the settings. */
const BACKUP_MS: number = 8 * DAY_MS;
const QUIET_MS = HOUR_MS;
/** Of one kind, so many are named. */
const MOST_NAMED = 3;

/** What is wrong first. None: all is well. */
export function judge(facts: ReportFacts): Finding[] {
  const all = [...losses(facts), ...meddling(facts), ...drillFindings(facts), ...ages(facts), ...lockFindings(facts)];
  return [...all.filter(({ level }) => level === 'wrong'), ...all.filter(({ level }) => level === 'look')];
}

function losses(facts: ReportFacts): Finding[] {
  const { repositories, backups, windows, gaps, gapCount, damaged, damagedHistories } = facts;
  const findings: Finding[] = [];
  const wrong = (text: string): unknown => findings.push({ level: 'wrong', text });
  for (const { number, url, failure } of repositories) {
    if (failure !== undefined) wrong(`Repository ${number} (${url}) could not be read: ${failure}.`);
  }
  if (backups.length === 0) wrong('No backup is stored, so nothing can be recovered.');
  else if (windows.length === 0) wrong('No backup can be restored: there is no moment that one can recover to.');
  const broken = backups.filter(({ fault }) => fault !== undefined);
  if (broken.length > 0)
    wrong(
      `${count(broken.length, 'backup')} cannot be restored: ${named(broken.map(({ id, fault }) => `${id} (${fault ?? ''})`))}.`,
    );
  if (damaged.length > 0) wrong(`The record of ${count(damaged.length, 'backup')} is damaged: ${named(damaged)}.`);
  if (damagedHistories.length > 0)
    wrong(
      `The history of ${count(damagedHistories.length, 'timeline')} is damaged: ${named(damagedHistories.map(String))}.`,
    );
  if (gapCount > 0) {
    const holes = gaps.map(({ first, last }) => (first === last ? first : `${first} to ${last}`));
    wrong(`WAL is missing in ${count(gapCount, 'place')}: ${named(holes.toReversed(), gapCount)}.`);
  }
  return findings;
}

function meddling({ traces, strange, unfinished }: ReportFacts): Finding[] {
  const findings: Finding[] = [];
  if (traces.length > 0)
    findings.push({ level: 'wrong', text: `Somebody else writes or deletes in the repository: ${named(traces)}.` });
  if (strange.length > 0)
    findings.push({ level: 'look', text: `Among the WAL lies what does not belong there: ${named(strange)}.` });
  if (unfinished.length > 0)
    findings.push({
      level: 'look',
      text: `${count(unfinished.length, 'upload')} did not end, or not yet: ${named(unfinished.toReversed())}.`,
    });
  return findings;
}

function drillFindings({ drills, at, backups }: ReportFacts): Finding[] {
  const [last] = drills;
  if (last?.ok === false) {
    const why = last.failed.length === 0 ? '' : ` (${named(last.failed)})`;
    return [{ level: 'wrong', text: `The last drill, of ${timeText(last.at)}, failed${why}.` }];
  }
  if (backups.length === 0) return [];
  if (last === undefined)
    return [{ level: 'look', text: 'Recovery was never proven by a drill: run "walhold drill" every week.' }];
  if (at - last.at <= PROVEN_MS) return [];
  return [{ level: 'look', text: `Recovery was last proven ${durationText(at - last.at)} ago.` }];
}

function ages({ at, lastStored, backups, repositories }: ReportFacts): Finding[] {
  const findings: Finding[] = [];
  const quiet = lastStored === undefined ? 0 : at - lastStored.at;
  if (quiet > QUIET_MS) {
    const text = `No WAL has been stored for ${durationText(quiet)}: the server rests, or does not archive.`;
    findings.push({ level: 'look', text });
  }
  const newest = backups.filter(({ fault }) => fault === undefined).at(-1);
  const allowed = repositories.reduce((least, { windowMs }) => Math.min(least, windowMs || BACKUP_MS), BACKUP_MS);
  if (newest !== undefined && at - newest.stoppedAt > allowed)
    findings.push({ level: 'look', text: `The newest backup is ${durationText(at - newest.stoppedAt)} old.` });
  return findings;
}

function lockFindings({ locks, at }: ReportFacts): Finding[] {
  const { any, nextEnd } = locks;
  if (!any || nextEnd === undefined || nextEnd - at > LOCK_NEAR_MS) return [];
  const text =
    nextEnd <= at
      ? 'A lock of what is needed has ended: run "walhold lock extend".'
      : `The first lock of what is needed ends in ${durationText(nextEnd - at)}: run "walhold lock extend" every day.`;
  return [{ level: nextEnd <= at ? 'wrong' : 'look', text }];
}

function named(names: readonly string[], all: number = names.length): string {
  const more = all - Math.min(names.length, MOST_NAMED);
  return (
    names
      .slice(0, MOST_NAMED)
      .map((text) => shortText(text))
      .join(', ') + (more > 0 ? `, and ${more} more` : '')
  );
}

export function count(number: number, noun: string): string {
  return number === 1 ? `one ${noun}` : `${number.toLocaleString('en')} ${noun}s`;
}
