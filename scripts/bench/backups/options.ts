import { parseArgs } from 'node:util';
import {
  commaList,
  RUN_OPTIONS,
  runOptions,
  sectionsNamed,
  text,
  wholeNumber,
  type RunOptions,
} from '../option-values.ts';

const SECTION_NAMES = ['full', 'incremental', 'large', 'many', 'sparse'] as const;

export type BackupSection = (typeof SECTION_NAMES)[number];

export interface BackupOptions extends RunOptions {
  /** In the order in which they run. */
  sections: readonly BackupSection[];
  /** Size of the clusters of `full` and `incremental`, as pgbench's: 130 makes 2 GB. `large` has four times as much. */
  scale: number;
  /** What is in the clusters of `full`. */
  data: readonly ('pgbench' | 'random')[];
  /** Servers of `incremental` and `large`. */
  majors: readonly number[];
  /** Schemas of `many`, and tables in each. */
  schemas: number;
  tables: number;
  /** Size of the one relation of `sparse`. */
  sparseGb: number;
  /** Where the clusters are kept for the next run. */
  keep: string | undefined;
  /** Only make the clusters, and keep them. */
  prepare: boolean;
}

/** @throws for words that are no sections or options, and values that are none. */
export function backupOptions(words: readonly string[]): BackupOptions {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      ...RUN_OPTIONS,
      scale: text('130'),
      data: text('pgbench,random'),
      majors: text('15,17'),
      schemas: text('200'),
      tables: text('500'),
      'sparse-gb': text('30'),
      keep: { type: 'string' },
      prepare: { type: 'boolean', default: false },
    },
  });
  if (values.prepare && values.keep === undefined) throw new Error('--prepare is of use with --keep only');
  return {
    sections: sectionsNamed(positionals, SECTION_NAMES),
    ...runOptions(values),
    scale: wholeNumber('scale', values.scale),
    data: commaList(values.data).map(kindOfData),
    majors: commaList(values.majors).map((major) => wholeNumber('majors', major)),
    schemas: wholeNumber('schemas', values.schemas),
    tables: wholeNumber('tables', values.tables),
    sparseGb: wholeNumber('sparse-gb', values['sparse-gb']),
    keep: values.keep,
    prepare: values.prepare,
  };
}

function kindOfData(word: string): 'pgbench' | 'random' {
  if (word !== 'pgbench' && word !== 'random') throw new Error(`--data is pgbench and random, not "${word}"`);
  return word;
}
