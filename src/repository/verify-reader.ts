/** Reading one object's contents: apart from all that judges several, so that threads can do it. All of it survives structured cloning. */
import type { CallOptions } from '../store/store.ts';
import type { Repository } from './repository.ts';
import { readPart, type PartQuestion } from './verify-part.ts';
import type { Problem } from './verify-problem.ts';
import { readWal, SegmentRooms, type WalQuestion, type WalReading } from './verify-wal-object.ts';

/** What one object was found to be. */
export interface Reading {
  readonly problems: readonly Problem[];
  /** Stored bytes of each version that was read whole; none: it is gone. */
  readonly read: readonly number[];
}

export interface ContentReader {
  wal(repository: Repository, question: WalQuestion): Promise<WalReading>;
  part(repository: Repository, question: PartQuestion): Promise<Reading>;
}

/** On the calling thread. */
export function readHere({ signal }: CallOptions): ContentReader {
  const rooms = new SegmentRooms();
  return {
    wal: (repository, question) => readWal(repository, question, { signal, rooms }),
    part: (repository, question) => readPart(repository, question, { signal }),
  };
}
