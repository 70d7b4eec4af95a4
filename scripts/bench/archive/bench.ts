import type { Case } from '../figures.ts';
import type { Archiver } from './archiver.ts';
import type { ArchiveOptions } from './options.ts';
import type { Stores } from './stores.ts';
import type { Wal } from './wal.ts';

/** What every benchmark works with. */
export interface Bench {
  /** Of transactions. */
  wal: Wal;
  /** Of messages. */
  messages: Wal;
  archivers: readonly Archiver[];
  stores: Stores;
  options: ArchiveOptions;
  tell: (line: string) => void;
}

/** Measures, and appends its tables to `cases` as soon as there is something in them. */
export type Benchmark = (bench: Bench, cases: Case[]) => Promise<void>;
