/** One thread that looks at the files of a directory to be filled: what they are, and that those which stay are as a server wants them. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { plainError } from '../base/plain-error.ts';
import type { DiskInput, FromDiskThread, ToDiskThread } from './restore/disk-protocol.ts';
import { DiskFiles } from './restore/disk-files.ts';

function serve(port: MessagePort, input: DiskInput): void {
  const files = new DiskFiles(input);
  const answer = (message: Exclude<ToDiskThread, { kind: 'end' }>): FromDiskThread =>
    message.kind === 'digest'
      ? { kind: 'digests', digests: message.files.map((file) => files.digest(file)) }
      : { kind: 'settled', count: files.settle(message.paths) };
  port.on('message', (message: ToDiskThread) => {
    if (message.kind === 'end') {
      port.close();
      return;
    }
    try {
      port.postMessage(answer(message));
    } catch (error) {
      port.postMessage({ kind: 'failed', error: plainError(error) } satisfies FromDiskThread);
      port.close();
    }
  });
}

if (parentPort !== null) serve(parentPort, workerData as DiskInput);
