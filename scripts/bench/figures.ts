import type { SectionName } from './results-file.ts';

/** One figure that each round gives for each contender. */
export interface Measure {
  key: string;
  /** The head of its column, with the unit. */
  title: string;
  /** Whether its smallest and largest value stand beside the median, and its ratio to that of {@link Case.base}. */
  main?: true;
}

/** What one trial gave, by the keys of the measures. */
export type Values = Readonly<Record<string, number>>;

/** Contenders measured in the same way on the same data: one table. */
export interface Case {
  title: string;
  measures: readonly Measure[];
  /** The contender that the ratios are taken against. */
  base: string;
  /** By contender; one entry per round. */
  rows: Map<string, Values[]>;
  /** Contenders that are not in it, or fell out, and why. */
  missing: Map<string, string>;
}

/** A contender as the reader should know it. */
export interface Tool {
  name: string;
  version: string;
  /** How it is set up, in a line. */
  setup: string;
}

/** What one run of a benchmark found out. */
export interface Section {
  name: SectionName;
  title: string;
  rounds: number;
  machine: string;
  /** What a reader should know of the run; empty for nothing. */
  note: string;
  tools: readonly Tool[];
  /** How it was measured, a sentence or two each. */
  method: readonly string[];
  cases: Case[];
}

export function newCase(title: string, base: string, measures: readonly Measure[]): Case {
  return { title, base, measures, rows: new Map(), missing: new Map() };
}

export function addRound({ rows }: Case, name: string, values: Values): void {
  rows.set(name, [...(rows.get(name) ?? []), values]);
}
