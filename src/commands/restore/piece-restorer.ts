import { hasCode, WalholdError } from '../../base/errors.ts';
import { oldestAuthenticPart } from '../../repository/authentic-part.ts';
import type { WhichVersion } from '../../repository/authentic.ts';
import { partKey, type BackupId } from '../../repository/layout.ts';
import { worstOf, type Repository, type RepositoryFailure } from '../../repository/repository.ts';
import type { PieceFile, RestorePiece } from '../../repository/restore-pieces.ts';
import { Untar, type TarEntry, type TarSink } from '../../stream/untar.ts';
import { FrameReader } from '../../stream/zstd.ts';
import type { JoinStep } from './member-content.ts';
import type { RestoredFiles } from './restored-files.ts';

export interface PieceContext {
  /** Those that hold a backup, in the order to be asked. */
  holders: (backup: BackupId) => readonly Repository[];
  files: RestoredFiles;
  signal: AbortSignal;
  /** Called as bytes go by. */
  progress: (stored: number, plain: number) => void;
  /** A repository gave nothing, or nothing right, and another one is asked. */
  warn: (failure: RepositoryFailure, object: string) => void;
}

/** Restores pieces one after the other, each from the first repository that gives it whole and right. */
export class PieceRestorer {
  readonly #context: PieceContext;
  /** Those that failed are asked last from then on. */
  readonly #failed = new Set<Repository>();
  /** By repository and key: the version that was right, where it is not the oldest. */
  readonly #versions = new Map<string, string>();

  constructor(context: PieceContext) {
    this.#context = context;
  }

  /** Answers how far it has brought the files that are joined. */
  async restore(piece: RestorePiece): Promise<JoinStep[]> {
    const { holders, files, warn, signal } = this.#context;
    const order = [...holders(piece.backup)].sort((a, b) => Number(this.#failed.has(a)) - Number(this.#failed.has(b)));
    const failures: RepositoryFailure[] = [];
    for (const repository of order) {
      try {
        await this.#restoreFrom(repository, piece);
        const steps = files.keep();
        for (const failure of failures) warn(failure, partKey(piece.backup, piece.part));
        return steps;
      } catch (error) {
        files.forget();
        signal.throwIfAborted();
        // The disk here is the same for all repositories.
        if (hasCode(error, 'io')) throw error;
        failures.push({ repository, error });
        this.#failed.add(repository);
      }
    }
    throw worstOf(failures);
  }

  async #restoreFrom(repository: Repository, piece: RestorePiece): Promise<void> {
    const { signal, files } = this.#context;
    const key = partKey(piece.backup, piece.part);
    const place = `${repository.number}/${key}`;
    const known = this.#versions.get(place);
    if (known !== undefined) return await this.#restoreVersion(repository, piece, { version: known });
    const restored = await oldestAuthenticPart(repository.store, key, piece.mark, { signal }, async (which) => {
      if (which.version !== undefined) files.forget();
      await this.#restoreVersion(repository, piece, which);
      return which;
    });
    if (restored?.version !== undefined) this.#versions.set(place, restored.version);
  }

  async #restoreVersion(repository: Repository, piece: RestorePiece, which: WhichVersion): Promise<void> {
    const { signal, files, progress } = this.#context;
    const { offset, storedBytes } = piece;
    const key = partKey(piece.backup, piece.part);
    const object = `${repository.url}/${key}`;
    const opened = await repository.store.open(key, { signal, range: { offset, bytes: storedBytes }, ...which });
    if (opened === undefined) {
      throw new WalholdError('not-found', `${object} is missing`, { hint: 'Restore another backup.' });
    }
    const frames = new FrameReader();
    const members = new ExpectedMembers(piece, files);
    const untar = new Untar(members);
    let plain = 0;
    const take = (bytes: Uint8Array): void => {
      plain += bytes.length;
      if (plain > piece.plainBytes) throw damaged(object, `more than ${piece.plainBytes} bytes come out of its frames`);
      untar.write(bytes);
    };
    try {
      let stored = 0;
      for await (const chunk of opened.chunks) {
        const before = plain;
        stored += chunk.length;
        frames.write(chunk, take);
        progress(chunk.length, plain - before);
      }
      if (stored !== storedBytes) throw damaged(object, `it ends too early: ${stored} of ${storedBytes} bytes came`);
      frames.end();
      untar.end(piece.ends);
      members.finish();
      if (plain !== piece.plainBytes)
        throw damaged(object, `${plain} bytes came out of its frames, not ${piece.plainBytes}`);
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format') || error.message.includes(object)) throw error;
      throw damaged(object, error.detail === undefined ? error.message : `${error.message}: ${error.detail}`, error);
    }
  }
}

/** Holds the members that come against the files that the record names, in their order. */
class ExpectedMembers implements TarSink {
  readonly #piece: RestorePiece;
  readonly #files: RestoredFiles;
  #next = 0;
  #inFile = false;

  constructor(piece: RestorePiece, files: RestoredFiles) {
    this.#piece = piece;
    this.#files = files;
  }

  begin(entry: TarEntry): void {
    if (entry.kind === 'directory') {
      // One that is only in an older link has been removed since.
      if (this.#piece.newest) this.#files.makeDirectory(entry);
      return;
    }
    const expected = this.#piece.files[this.#next];
    if (expected === undefined || !samePath(entry.path, expected.path) || entry.size !== expected.size) {
      const found = `${String(entry.path)} of ${entry.size} bytes`;
      throw new WalholdError('damaged', `the archive holds ${found} where the record has something else`);
    }
    this.#next += 1;
    this.#inFile = true;
    this.#files.begin(entry, expected);
  }

  data(chunk: Uint8Array): void {
    this.#files.write(chunk);
  }

  end(): void {
    if (this.#inFile) this.#files.end();
    this.#inFile = false;
  }

  /** Throws when files are still to come. */
  finish(): void {
    const missing: PieceFile | undefined = this.#piece.files[this.#next];
    if (missing === undefined) return;
    throw new WalholdError('damaged', `the archive lacks ${String(missing.path)}, which the record has`);
  }
}

function samePath(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return Buffer.from(a).equals(Buffer.from(b));
}

function damaged(object: string, detail: string, cause?: unknown): WalholdError {
  return new WalholdError('damaged', `could not trust ${object}`, {
    detail,
    hint: 'Read it from another repository, or see "walhold verify".',
    cause,
  });
}
