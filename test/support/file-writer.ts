// A process that stores object after object in a directory until it is killed: `file-writer.ts ROOT BYTES`. It says each key that
// it has been told is there.
import { fileStore } from '../../src/store/file.ts';
import { patternBytes, pieces } from './bytes.ts';

const [, , root = '', size = '0'] = process.argv;
const store = fileStore({ root });
const { signal } = new AbortController();
for (let at = 0; ; at += 1) {
  const chunks = pieces(patternBytes(Number(size), at), 10_000);
  const result = await store.create(`k/${at}`, { kind: 'stream', chunks }, { signal });
  process.stdout.write(`${result} ${at}\n`);
}
