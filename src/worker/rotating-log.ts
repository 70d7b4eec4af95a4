import { copyFileSync, fstatSync, ftruncateSync, writeSync } from 'node:fs';

const MOST_BYTES = 1024 * 1024;

/**
 * Writes lines to stderr, which is the file at `path` opened for appending; at 1 MB what is in it moves to `<path>.1`. The file stays the
 * same one, so that what Node itself says at the end is in it too. A log that cannot be written is nobody's failure.
 */
export function rotatingWriter(path: string): (line: string) => void {
  return (line) => {
    try {
      writeSync(2, line);
      const { size } = fstatSync(2);
      if (size < MOST_BYTES) return;
      copyFileSync(path, `${path}.1`);
      ftruncateSync(2, 0);
    } catch {
      // Nobody is there to be told.
    }
  };
}
