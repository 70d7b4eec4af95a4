/** One thread that reads WAL files and makes them ready to be stored: digest, description, compression. One after another. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';
import { plainError } from '../base/plain-error.ts';
import { roomIn } from '../base/room.ts';
import { StableFileReader } from '../base/stable-file.ts';
import { parseWalName } from '../postgres/wal-name.ts';
import { prepareWal } from '../repository/wal-object.ts';
import { stateOf } from '../spool/file-state.ts';
import { FrameCompressor } from '../stream/zstd.ts';
import type { Answer, END } from './thread-pool.ts';
import type { Prepared, PrepareInput, ToPrepare } from './thread-protocol.ts';

/** The largest WAL segment that initdb makes. */
const MOST_BYTES = 1024 ** 3;

function serve(port: MessagePort, { cluster, level, by }: PrepareInput): void {
  const reader = new StableFileReader();
  const compressor = new FrameCompressor(level);
  const prepare = ({ name, path, memory }: ToPrepare): Prepared => {
    const file = parseWalName(name);
    if (file === undefined) throw new WalholdError('bad-wal-name', `${name} is not the name of a WAL file`);
    const { bytes: plain, stats } = reader.read(path, MOST_BYTES);
    const at = new Date(systemClock.now());
    const compress = (input: Uint8Array): Uint8Array => compressor.compress(input);
    const { key, systemId, encoded, warnings } = prepareWal(file, plain, {
      cluster,
      level: compress,
      by,
      at,
      room: (bytes) => roomIn(memory, bytes),
    });
    return { kind: 'prepared', key, systemId, ...encoded, warnings, state: stateOf(stats) };
  };
  port.on('message', (message: ToPrepare | typeof END) => {
    if (message.kind === 'end') return port.close();
    try {
      const prepared = prepare(message);
      port.postMessage(prepared, [prepared.bytes.buffer as ArrayBuffer]);
    } catch (error) {
      port.postMessage({ kind: 'failed', error: plainError(error) } satisfies Answer<Prepared>);
    }
  });
}

if (parentPort !== null) serve(parentPort, workerData as PrepareInput);
