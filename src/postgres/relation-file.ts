/** One file of a table, an index, a sequence or the like. */
export interface RelationFile {
  /** The database's OID as written; `undefined`: a shared relation, in `global`. */
  readonly database: string | undefined;
  /** The tablespace's OID as written; `undefined`: `base` or `global`. */
  readonly tablespace: string | undefined;
  /** relfilenode, as written. */
  readonly relation: string;
  readonly fork: 'main' | 'fsm' | 'vm' | 'init';
  /** Which file of the fork, counted from 0; each but the last has `blocksPerFile` blocks (pg_control). */
  readonly segment: number;
}

const NAME = /^([1-9][0-9]{0,9})(?:_(fsm|vm|init))?(?:\.([1-9][0-9]{0,9}))?$/;
const DIRECTORY = /^(?:global|base\/([0-9]+)|pg_tblspc\/([0-9]+)\/PG_[0-9]+_[0-9]+\/([0-9]+))$/;
const LARGEST_OID = 0xffff_ffff;

/**
 * Reads a path below the data directory as a relation's file (parse_filename_for_nontemp_relation). Those are the files
 * whose pages carry checksums. `undefined`: any other file, temporary relations included.
 */
export function relationFile(path: string): RelationFile | undefined {
  const slash = path.lastIndexOf('/');
  const directory = DIRECTORY.exec(path.slice(0, Math.max(slash, 0)));
  const name = NAME.exec(path.slice(slash + 1));
  if (directory === null || name === null) return undefined;
  const [, relation = '', fork, segmentText] = name;
  const segment = segmentText === undefined ? 0 : Number(segmentText);
  if (Number(relation) > LARGEST_OID || segment > LARGEST_OID) return undefined;
  return {
    database: directory[1] ?? directory[3],
    tablespace: directory[2],
    relation,
    fork: isFork(fork) ? fork : 'main',
    segment,
  };
}

/** The block number of the file's first page in its fork: mixed into every page's checksum. */
export function firstBlock(file: RelationFile, blocksPerFile: number): number {
  return file.segment * blocksPerFile;
}

/** What kind of relations the directory of this path holds; `undefined`: none. */
export function relationDirectory(path: string): 'database' | 'global' | undefined {
  const directory = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
  if (!DIRECTORY.test(directory)) return undefined;
  return directory === 'global' ? 'global' : 'database';
}

/** `t<backend>_<relfilenode>` with fork and segment (looks_like_temp_rel_name). */
export function isTemporaryRelationName(name: string): boolean {
  return /^t[0-9]+_[0-9]+(?:_(?:fsm|vm|init))?(?:\.[0-9]+)?$/.test(name);
}

function isFork(text: string | undefined): text is 'fsm' | 'vm' | 'init' {
  return text !== undefined;
}
