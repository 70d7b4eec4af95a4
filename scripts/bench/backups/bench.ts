import type { Case, Tool } from '../figures.ts';
import type { BackupOptions } from './options.ts';

/** What every benchmark works with, and what it finds out. */
export interface Bench {
  options: BackupOptions;
  tell: (line: string) => void;
  /** Tables, appended as soon as there is something in them. */
  cases: Case[];
  /** Who took part, by name. */
  tools: Map<string, Tool>;
}
