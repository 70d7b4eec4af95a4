import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { wholeNumber } from './option-values.ts';

export interface BenchOptions {
  rounds: number;
  /** As pgbench's: 60 makes 1 GB. */
  scale: number;
  /** WAL segments pushed and fetched in one round. */
  segments: number;
  /** The file for the table. */
  output: string;
  /** What a reader of the table should know of the run; empty for nothing. */
  note: string;
}

const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url));

/** @throws for words that are no options and values that are no positive whole numbers. */
export function benchOptions(words: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...words],
    options: {
      rounds: { type: 'string', default: '5' },
      scale: { type: 'string', default: '60' },
      segments: { type: 'string', default: '10' },
      output: { type: 'string', default: RESULTS },
      note: { type: 'string', default: '' },
    },
  });
  return {
    rounds: wholeNumber('rounds', values.rounds),
    scale: wholeNumber('scale', values.scale),
    segments: wholeNumber('segments', values.segments),
    output: values.output,
    note: values.note,
  };
}
