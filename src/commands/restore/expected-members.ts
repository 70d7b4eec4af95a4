import { WalholdError } from '../../base/errors.ts';
import type { PieceFile, RestorePiece } from '../../repository/restore-pieces.ts';
import type { TarEntry, TarSink } from '../../stream/untar.ts';
import type { RestoredFiles } from './restored-files.ts';

/** Holds the members that come against the files that the record names, in their order. */
export class ExpectedMembers implements TarSink {
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
