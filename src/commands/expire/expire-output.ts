import type { End } from '../../repository/lock/kept-backups.ts';
import { OPEN } from '../../repository/lock/kept-backups.ts';
import { formatBytes } from '../format-bytes.ts';
import { plainText } from '../plain-text.ts';

/** The shape of `walhold expire --json`, in this order. With `dryRun` nothing was removed, and `removed` is what would be. */
export interface ExpireJson {
  /** Keys, those of the first repository first. */
  removed: string[];
  /** What is locked; `null`: held, without an end. At most `MOST_SKIPPED` are named. */
  skipped: { object: string; lockedUntil: string | null; repository: number }[];
  dryRun: boolean;
  repositories: ExpiredJson[];
}

export interface ExpiredJson {
  repository: number;
  url: string;
  /** Backups that were removed, and interrupted uploads among them. */
  backups: string[];
  removedObjects: number;
  removedBytes: number;
  skippedObjects: number;
  /** When the first of the skipped falls free; `null`: none is skipped, or none ever will. */
  nextFree: string | null;
  /** The index of what was removed; `null`: none was made. */
  record: string | null;
}

export const MOST_SKIPPED = 100_000;
/** stdout is written in pieces of about this many characters. */
const PIECE = 65_536;

/**
 * Where results go as they come, since there can be millions. JSON is whole whatever happens afterwards, once `end` was called; nothing
 * is printed before the first result.
 */
export class ExpireOutput {
  readonly #print: (text: string) => void;
  readonly #json: boolean;
  readonly #skipped: ExpireJson['skipped'] = [];
  #piece = '';
  #begun = false;

  constructor(print: (text: string) => void, { json }: { json: boolean }) {
    this.#print = print;
    this.#json = json;
  }

  get hasBegun(): boolean {
    return this.#begun || this.#skipped.length > 0;
  }

  removed(key: string): void {
    if (this.#json) this.#add(`${this.#begun ? ',' : '{\n  "removed": ['}\n    ${JSON.stringify(key)}`);
    this.#begun = true;
  }

  skipped(repository: number, object: string, until: End): void {
    if (this.#skipped.length >= MOST_SKIPPED) return;
    this.#skipped.push({ object, lockedUntil: isoOf(until), repository });
  }

  end(dryRun: boolean, repositories: readonly ExpiredJson[]): void {
    if (this.#json) {
      this.#add(this.#begun ? '\n  ],' : '{\n  "removed": [],');
      this.#add('\n  "skipped": [');
      for (const [at, one] of this.#skipped.entries()) this.#add(`${at === 0 ? '' : ','}\n    ${JSON.stringify(one)}`);
      this.#add(this.#skipped.length === 0 ? '],' : '\n  ],');
      this.#add(`\n  "dryRun": ${dryRun},\n  "repositories": ${JSON.stringify(repositories)}\n}\n`);
    } else for (const one of repositories) this.#add(describe(one, dryRun));
    this.#flush();
  }

  #add(text: string): void {
    this.#piece += text;
    if (this.#piece.length > PIECE) this.#flush();
  }

  #flush(): void {
    if (this.#piece !== '') this.#print(this.#piece);
    this.#piece = '';
  }
}

/** `null`: never, as far as is known. */
export function isoOf(until: End): string | null {
  return until === OPEN || until > LATEST ? null : new Date(until).toISOString();
}

/** The last moment that a Date can hold. */
const LATEST = 8.64e15;

function describe(one: ExpiredJson, dryRun: boolean): string {
  const { repository, backups, removedObjects, removedBytes, skippedObjects, nextFree } = one;
  const lines = backups.map((id) => `${dryRun ? 'would remove' : 'removed'} backup ${id}`);
  const verb = dryRun ? 'would be removed' : 'removed';
  lines.push(`${removedObjects} objects ${verb}, ${formatBytes(removedBytes)}`);
  if (skippedObjects > 0) {
    const when = nextFree === null ? 'held' : `the first falls free at ${nextFree}`;
    lines.push(`${skippedObjects} objects stay, since they are locked (${when})`);
  }
  return lines.map((line) => `repository ${repository}: ${plainText(line)}\n`).join('');
}
