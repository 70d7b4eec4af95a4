import { joinedPath } from '../../repository/chain-files.ts';
import type { JoinState } from '../../repository/join-state.ts';
import type { PieceFile, RestorePiece } from '../../repository/restore-pieces.ts';
import type { JoinStep } from './member-content.ts';

/** What a joined file turned out to be. */
export interface JoinedFile {
  size: number;
  /** 64 hex digits. */
  sha256: string;
}

/** How far each file that comes from several links is joined, for all threads. No two pieces of one link have a file in common. */
export class JoinedFiles {
  readonly #states = new Map<string, JoinState>();
  readonly #complete = new Map<string, JoinedFile>();

  /** Those that are whole. */
  get complete(): ReadonlyMap<string, JoinedFile> {
    return this.#complete;
  }

  /** How far the newer links have brought it. */
  stateOf(path: string): JoinState | undefined {
    return this.#states.get(path);
  }

  /** It lies in the target already. */
  keep(path: string, file: JoinedFile): void {
    this.#states.delete(path);
    this.#complete.set(path, file);
  }

  /** The piece as a thread needs it. */
  withStates(piece: RestorePiece): RestorePiece {
    if (piece.newest) return piece;
    return { ...piece, files: piece.files.map((file) => this.#withState(file)) };
  }

  /** What came out of a piece. */
  add(steps: readonly JoinStep[]): void {
    for (const step of steps) {
      if ('state' in step) this.#states.set(step.path, step.state);
      else {
        this.#states.delete(step.path);
        this.#complete.set(step.path, { size: step.size, sha256: step.sha256 });
      }
    }
  }

  #withState(file: PieceFile): PieceFile {
    const path = joinedPath(file.path, file.use);
    if (typeof path !== 'string' || (file.use !== 'blocks' && file.use !== 'base')) return file;
    return { ...file, join: this.#states.get(path) };
  }
}
