import { addRound, type Case, type Values } from './figures.ts';
import { rotated } from './rotated.ts';

export interface Turns {
  rounds: number;
  tell: (line: string) => void;
}

/** One round of {@link Turns}. */
export interface Turn extends Turns {
  /** From 0. */
  round: number;
}

/** All rounds of a case, one after the other: see {@link takeTurn}. */
export async function takeTurns<T extends { name: string }>(
  one: Case,
  contenders: readonly T[],
  turns: Turns,
  trial: (contender: T) => Promise<Values>,
): Promise<void> {
  for (let round = 0; round < turns.rounds; round += 1) await takeTurn(one, contenders, { ...turns, round }, trial);
}

/**
 * One round of a case: the contenders follow one another, and another one begins in each round. One that fails is left
 * out from then on, with what it said, and the others go on.
 */
export async function takeTurn<T extends { name: string }>(
  one: Case,
  contenders: readonly T[],
  { round, rounds, tell }: Turn,
  trial: (contender: T) => Promise<Values>,
): Promise<void> {
  for (const contender of rotated(contenders, round)) {
    const { name } = contender;
    if (one.missing.has(name)) continue;
    try {
      const values = await trial(contender);
      addRound(one, name, values);
      tell(`${one.title}, round ${round + 1} of ${rounds}: ${name}: ${shown(values)}`);
    } catch (error) {
      fallOut(one, name, error, tell);
    }
  }
  inOrder(one, contenders);
}

/** Takes a contender out of a case because of an error. */
export function fallOut(one: Case, name: string, error: unknown, tell: (line: string) => void): void {
  one.rows.delete(name);
  const reason = error instanceof Error ? error.message : String(error);
  one.missing.set(name, reason.split('\n')[0] ?? '');
  tell(`${one.title}: ${name} is left out: ${reason}`);
}

/** The order of the rows is that of the contenders, not that of the first round's end. */
function inOrder(one: Case, contenders: readonly { name: string }[]): void {
  const entries = contenders.flatMap(({ name }) => {
    const values = one.rows.get(name);
    return values === undefined ? [] : [[name, values] as const];
  });
  one.rows = new Map(entries);
}

function shown(values: Values): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} ${Number(value.toPrecision(4))}`)
    .join(', ');
}
