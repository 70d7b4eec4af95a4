import type { RelationFile } from './relation-file.ts';

/** A relation as WAL names it (RelFileLocator); shared relations have no database, 0. */
export interface RelationLocator {
  tablespace: number;
  database: number;
  /** relfilenode; 0: all of that database in that tablespace. */
  relation: number;
}

/** `whole`: nothing of what the file was before can be used. Else block numbers in the file, ascending, each once. */
export type FileChanges = 'whole' | Uint32Array;

/** DEFAULTTABLESPACE_OID and GLOBALTABLESPACE_OID: where `base` and `global` are. */
const DEFAULT_TABLESPACE = 1663;
const GLOBAL_TABLESPACE = 1664;

interface Changes {
  /** From which block on the relation was cut off or made anew. */
  limit: number;
  /** Of each file, counted from 0, a bit for each block. */
  files: Map<number, Uint8Array>;
}

/**
 * What WAL summaries tell of relations' main forks (common/blkreftab.c): which blocks were touched, and where a relation was
 * truncated, made or dropped. All summaries of a time are put together; their order means nothing here.
 */
export class BlockChanges {
  readonly #blocksPerFile: number;
  readonly #relations = new Map<string, Changes>();

  constructor(blocksPerFile: number) {
    this.#blocksPerFile = blocksPerFile;
  }

  /** Blocks of the relation, counted over all its files. */
  addBlocks(relation: RelationLocator, blocks: Iterable<number>): void {
    const { files } = this.#of(relation);
    for (const block of blocks) {
      const file = Math.floor(block / this.#blocksPerFile);
      const index = block % this.#blocksPerFile;
      const bits = grown(files.get(file) ?? new Uint8Array(), (index >>> 3) + 1);
      bits[index >>> 3]! |= 1 << (index & 7);
      files.set(file, bits);
    }
  }

  /** The relation had so few blocks at some moment, or of the database in the tablespace nothing was left (`relation` 0). */
  addLimit(relation: RelationLocator, block: number): void {
    const changes = this.#of(relation);
    changes.limit = Math.min(changes.limit, block);
  }

  /**
   * What has changed in a file of a main fork. A file in which the relation was cut off is whole: what lies behind may have been
   * extended without WAL since, or will be, and the old blocks must not come back there.
   */
  of(file: RelationFile): FileChanges {
    const { tablespace, database } = placeOf(file);
    if (this.#relations.has(keyOf({ tablespace, database, relation: 0 }))) return 'whole';
    const changes = this.#relations.get(keyOf({ tablespace, database, relation: Number(file.relation) }));
    if (changes === undefined) return new Uint32Array();
    if (changes.limit < (file.segment + 1) * this.#blocksPerFile) return 'whole';
    return Uint32Array.from(setBits(changes.files.get(file.segment) ?? new Uint8Array()));
  }

  #of(relation: RelationLocator): Changes {
    const key = keyOf(relation);
    let changes = this.#relations.get(key);
    if (changes === undefined) this.#relations.set(key, (changes = { limit: Infinity, files: new Map() }));
    return changes;
  }
}

function placeOf({ tablespace, database }: RelationFile): Pick<RelationLocator, 'tablespace' | 'database'> {
  if (database === undefined) return { tablespace: GLOBAL_TABLESPACE, database: 0 };
  return { tablespace: Number(tablespace ?? DEFAULT_TABLESPACE), database: Number(database) };
}

function keyOf({ tablespace, database, relation }: RelationLocator): string {
  return `${tablespace}/${database}/${relation}`;
}

/** Doubled until it is long enough. */
function grown(bits: Uint8Array, bytes: number): Uint8Array {
  if (bits.length >= bytes) return bits;
  const larger = new Uint8Array(Math.max(bytes, bits.length * 2));
  larger.set(bits);
  return larger;
}

function* setBits(bits: Uint8Array): Generator<number> {
  for (const [index, byte] of bits.entries()) {
    for (let bit = 0; byte >>> bit !== 0; bit++) if (((byte >>> bit) & 1) === 1) yield index * 8 + bit;
  }
}
