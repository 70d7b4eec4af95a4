import { hasCode, WalholdError } from '../../base/errors.ts';
import { oldestAuthenticPart } from '../../repository/authentic-part.ts';
import type { WhichVersion } from '../../repository/authentic.ts';
import { partKey, type BackupId } from '../../repository/layout.ts';
import { worstOf, type Repository, type RepositoryFailure } from '../../repository/repository.ts';
import type { RestorePiece } from '../../repository/restore-pieces.ts';
import type { OpenedObject } from '../../store/store.ts';
import { Untar } from '../../stream/untar.ts';
import { FrameReader } from '../../stream/zstd.ts';
import { EarlyRead } from './early-read.ts';
import { ExpectedMembers } from './expected-members.ts';
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
  /** Pieces whose turn comes, and where they are read already. */
  readonly #early = new Map<RestorePiece, { repository: Repository; version: string | undefined; read: EarlyRead }>();

  constructor(context: PieceContext) {
    this.#context = context;
  }

  /** Begins to read a piece that will be restored after others. */
  begin(piece: RestorePiece): void {
    const [repository] = this.#orderOf(piece);
    if (repository === undefined) return;
    const version = this.#versions.get(placeOf(repository, piece));
    const which = version === undefined ? {} : { version };
    const read = new EarlyRead((signal) => open(repository, piece, { signal, ...which }), this.#context.signal);
    this.#early.set(piece, { repository, version, read });
  }

  /** Answers how far it has brought the files that are joined. */
  async restore(piece: RestorePiece): Promise<JoinStep[]> {
    try {
      return await this.#restoreFromAny(piece);
    } finally {
      this.#early.get(piece)?.read.drop();
      this.#early.delete(piece);
    }
  }

  async #restoreFromAny(piece: RestorePiece): Promise<JoinStep[]> {
    const { files, warn, signal } = this.#context;
    const order = this.#orderOf(piece);
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

  #orderOf({ backup }: RestorePiece): Repository[] {
    return [...this.#context.holders(backup)].sort((a, b) => Number(this.#failed.has(a)) - Number(this.#failed.has(b)));
  }

  async #restoreFrom(repository: Repository, piece: RestorePiece): Promise<void> {
    const { signal, files } = this.#context;
    const key = partKey(piece.backup, piece.part);
    const place = placeOf(repository, piece);
    const known = this.#versions.get(place);
    if (known !== undefined) return await this.#restoreVersion(repository, piece, { version: known });
    const restored = await oldestAuthenticPart(repository.store, key, piece.mark, { signal }, async (which) => {
      if (which.version !== undefined) files.forget();
      await this.#restoreVersion(repository, piece, which);
      return which;
    });
    if (restored?.version !== undefined) this.#versions.set(place, restored.version);
  }

  /** What was opened before counts once, and only if it is what is asked for now. */
  async #open(repository: Repository, piece: RestorePiece, which: WhichVersion): Promise<OpenedObject | undefined> {
    const early = this.#early.get(piece);
    if (early?.repository === repository && early.version === which.version && early.read.claim())
      return await early.read.opened;
    return await open(repository, piece, { signal: this.#context.signal, ...which });
  }

  async #restoreVersion(repository: Repository, piece: RestorePiece, which: WhichVersion): Promise<void> {
    const { files, progress } = this.#context;
    const { storedBytes } = piece;
    const object = `${repository.url}/${partKey(piece.backup, piece.part)}`;
    const opened = await this.#open(repository, piece, which);
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

function open(
  { store }: Repository,
  { backup, part, offset, storedBytes }: RestorePiece,
  options: WhichVersion & { signal: AbortSignal },
): Promise<OpenedObject | undefined> {
  return store.open(partKey(backup, part), { range: { offset, bytes: storedBytes }, ...options });
}

function placeOf({ number }: Repository, { backup, part }: RestorePiece): string {
  return `${number}/${partKey(backup, part)}`;
}

function damaged(object: string, detail: string, cause?: unknown): WalholdError {
  return new WalholdError('damaged', `could not trust ${object}`, {
    detail,
    hint: 'Read it from another repository, or see "walhold verify".',
    cause,
  });
}
