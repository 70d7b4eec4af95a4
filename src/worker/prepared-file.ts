import { parseWalName } from '../postgres/wal-name.ts';
import type { PreparedWal } from '../repository/wal-object.ts';
import type { FileState } from '../spool/file-state.ts';
import { decompressFrames } from '../stream/zstd.ts';
import type { Prepared, ToPrepare } from './thread-protocol.ts';
import type { ThreadPool } from './thread-pool.ts';
import type { UsedMemory } from './used-memory.ts';

export interface PreparedFile {
  wal: PreparedWal;
  /** The file's when it was read. */
  state: FileState;
  /** Once nobody reads the encoded bytes any more, their memory is for others. */
  release: () => void;
}

/** Has a thread make a file ready. Throws what stands against storing it. */
export async function prepareIn(
  pool: ThreadPool<ToPrepare, Prepared>,
  memory: UsedMemory,
  { name, path }: { name: string; path: string },
): Promise<PreparedFile> {
  const room = memory.take();
  const question: ToPrepare = { kind: 'prepare', name, path, memory: room };
  const answer = await pool.ask(question, room === undefined ? [] : [room]);
  return preparedFile(name, answer, memory);
}

function preparedFile(name: string, answer: Prepared, memory: UsedMemory): PreparedFile {
  const { key, systemId, head, bytes, warnings, state } = answer;
  const file = parseWalName(name);
  if (file === undefined) throw new Error(`${name} was prepared and is no WAL file`);
  let plain: Buffer | undefined;
  const wal: PreparedWal = {
    file,
    key,
    systemId,
    encoded: { head, bytes },
    warnings,
    // Only for the comparison with what is stored already under the name: not worth keeping for every file.
    get plain() {
      return (plain ??= decompressFrames(bytes, head.bytes));
    },
  };
  return { wal, state, release: () => memory.give(bytes.buffer as ArrayBuffer) };
}
