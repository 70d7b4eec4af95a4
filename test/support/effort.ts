import { MAJORS } from '../../scripts/find-postgres.ts';

/** Whether tests run in the size asked for, not in the one that every change can wait for. */
export const LONG: boolean = process.env['WALHOLD_TEST_LONG'] === '1';

/** Where all that majors have in common is tested on one of them: the newest. */
export const NEWEST: number = MAJORS.at(-1) ?? 18;

/** The majors at both ends: what differs between versions shows here first. */
const ENDS: readonly number[] = [MAJORS.at(0) ?? 13, NEWEST];

/** The majors that a thorough test runs on: all of them in the long run, else the oldest and the newest. */
export const CHOSEN_MAJORS: readonly number[] = LONG ? MAJORS : ENDS;

/** Whether this major is tested in all ways, not only in the main ones. */
export function inAllWays(major: number): boolean {
  return CHOSEN_MAJORS.includes(major);
}
