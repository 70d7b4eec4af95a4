/**
 * One segment held against the one before it: the record that goes on from one to the next, the links between records, and ends that
 * are none. Told of segments in the order of their keys; those that are not next to each other are not compared.
 */
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { checksumFits, continueRecord, type BegunRecord, type ContinuedPart } from '../postgres/record-parts.ts';
import type { BrokenEnd, SegmentProof } from '../postgres/segment-proof.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { VerifyReport } from './verify-scope.ts';

export interface ProvenSegment {
  readonly key: string;
  readonly timeline: TimelineId;
  readonly segno: bigint;
  /** `undefined`: it is not worth looking into, which has been told. */
  readonly proof: SegmentProof | undefined;
}

/** Where the WAL stands at the end of a segment. */
interface Standing {
  readonly timeline: TimelineId;
  readonly segno: bigint;
  /** A record that goes on, and the object it begins in. */
  readonly begun: { record: BegunRecord; key: string } | undefined;
  readonly lastRecord: Lsn | undefined;
}

export class SegmentJoins {
  readonly #report: VerifyReport;
  readonly #isFollowed: (timeline: TimelineId, segno: bigint) => boolean;
  #standing: Standing | undefined;

  /** `isFollowed`: whether WAL that is stored goes on behind this segment, so that it must be full. */
  constructor(report: VerifyReport, isFollowed: (timeline: TimelineId, segno: bigint) => boolean) {
    this.#report = report;
    this.#isFollowed = isFollowed;
  }

  add(segment: ProvenSegment): void {
    const before = this.#standing;
    this.#standing = undefined;
    const { key, timeline, segno, proof } = segment;
    if (proof === undefined) return;
    this.#report.records += proof.records;
    const follows = before?.timeline === timeline && before.segno + 1n === segno;
    if (!follows && proof.head !== undefined) this.#report.unproven += 1;
    const fault = follows ? misfitOf(before, proof) : undefined;
    if (fault !== undefined) this.#bad(key, fault);
    const standing = follows && fault === undefined ? this.#goOn(before, segment, proof) : standingAt(segment, proof);
    if (proof.broken === undefined) this.#standing = standing;
    else if (fault === undefined) this.#judgeEnd(segment, proof.broken);
  }

  #goOn({ begun, lastRecord }: Standing, segment: ProvenSegment, proof: SegmentProof): Standing {
    const { head } = proof;
    const continued = begun !== undefined && head !== undefined && !head.abandoned ? begun : undefined;
    const left = continued === undefined ? undefined : this.#continue(continued, head as ContinuedPart);
    const here = standingAt(segment, proof);
    const ended = continued !== undefined && left === undefined ? continued.record.at : lastRecord;
    return { ...here, begun: here.begun ?? left, lastRecord: here.lastRecord ?? ended };
  }

  /** `undefined`: nothing of it is left. */
  #continue(begun: NonNullable<Standing['begun']>, head: ContinuedPart): Standing['begun'] {
    const record = continueRecord(begun.record, head);
    if (record.left > 0) return { ...begun, record };
    const at = formatLsn(record.at);
    if (checksumFits(record)) this.#report.records += 1;
    else this.#bad(begun.key, `the record at ${at}, which ends in the next segment, has a wrong CRC-32C`);
    return undefined;
  }

  #judgeEnd({ key, timeline, segno }: ProvenSegment, { at, why, goesOn }: BrokenEnd): void {
    if (!goesOn && !this.#isFollowed(timeline, segno)) return;
    const where = formatLsn(at);
    if (why === 'checksum') this.#bad(key, `the record at ${where} has a wrong CRC-32C`);
    else if (why === 'zeros') this.#bad(key, `its records end at ${where}, and only zeros follow`);
    else this.#bad(key, `what follows at ${where} is no valid record`);
  }

  #bad(object: string, message: string): void {
    this.#report.problem({ code: 'bad-record', object, message });
  }
}

function standingAt({ key, timeline, segno }: ProvenSegment, { tail, lastRecord }: SegmentProof): Standing {
  return { timeline, segno, begun: tail === undefined ? undefined : { record: tail, key }, lastRecord };
}

/** Why a segment cannot be what follows the one before it. */
function misfitOf({ begun, lastRecord }: Standing, proof: SegmentProof): string | undefined {
  const { head, overwrites, firstPrevious } = proof;
  if (begun === undefined && head !== undefined && lastRecord !== undefined) {
    return 'it goes on with a record that the segment before it does not begin';
  }
  if (begun !== undefined && head === undefined && !overwrites) {
    return `the record at ${formatLsn(begun.record.at)}, in the segment before it, does not go on in it`;
  }
  if (begun !== undefined && head !== undefined && head.remaining !== begun.record.left) {
    const found = `it goes on with ${head.remaining} bytes of a record`;
    return `${found}, but of the one at ${formatLsn(begun.record.at)} ${begun.record.left} bytes are left`;
  }
  const last = begun !== undefined && head !== undefined && !head.abandoned ? begun.record.at : lastRecord;
  // 0 is said by the first record of all, and by pg_resetwal.
  if (firstPrevious === undefined || firstPrevious === 0n || last === undefined || firstPrevious === last)
    return undefined;
  const found = `its first record follows one at ${formatLsn(firstPrevious)}`;
  return `${found}, but the last one in the segment before it begins at ${formatLsn(last)}`;
}
