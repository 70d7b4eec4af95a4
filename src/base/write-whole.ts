import type { FileHandle } from 'node:fs/promises';

/** At the end of what was written before. `writeFile` does it by pieces of half a megabyte, each a way to another thread and back. */
export async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
}
