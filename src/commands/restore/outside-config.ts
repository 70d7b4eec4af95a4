import { chown, lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createDurably, syncDirectory } from '../../base/durable.ts';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import type { ConfigRecord } from '../../repository/backup-record.ts';
import { Untar, type TarEntry } from '../../stream/untar.ts';
import { FrameReader } from '../../stream/zstd.ts';
import type { Owner } from './target-directory.ts';

/** Where configuration goes that lay outside the data directory, unless told otherwise: a folder in the new one. */
export const CONFIG_FOLDER = 'walhold_config';

interface ConfigFile {
  path: string;
  mode: number;
  content: Buffer;
}

/**
 * Lays the files down under `directory`, by their old absolute paths. A file that is there already stays as it is, and is among the
 * paths returned.
 */
export async function layDownConfig(
  archive: Buffer,
  record: ConfigRecord,
  directory: string,
  owner: Owner | undefined,
): Promise<{ kept: string[] }> {
  const kept: string[] = [];
  for (const file of filesOf(archive, record)) {
    const path = join(directory, file.path);
    try {
      await makeBelow(directory, dirname(path), owner);
      const made = await createDurably(path, (handle) => fill(handle, file, owner), { mode: 0o600 });
      if (made === 'exists') kept.push(path);
    } catch (error) {
      throw ioError(`could not write ${path}`, error);
    }
  }
  return { kept };
}

async function fill(
  handle: {
    writeFile: (b: Buffer) => Promise<void>;
    chown: (u: number, g: number) => Promise<void>;
    chmod: (m: number) => Promise<void>;
  },
  { content, mode }: ConfigFile,
  owner: Owner | undefined,
): Promise<void> {
  await handle.writeFile(content);
  if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
  await handle.chmod((mode & 0o640) | 0o600);
}

/** The members are all there, none else, and together no more than the record says. */
function filesOf(archive: Buffer, record: ConfigRecord): ConfigFile[] {
  const wanted = new Set(record.files.map((path) => path.slice(1)));
  const files: ConfigFile[] = [];
  let chunks: Buffer[] = [];
  let open: (TarEntry & { path: string }) | undefined;
  const untar = new Untar({
    begin(entry) {
      if (entry.kind === 'directory') return;
      if (typeof entry.path !== 'string' || !wanted.delete(entry.path)) throw wrong(`it holds ${String(entry.path)}`);
      open = { ...entry, path: entry.path };
      chunks = [];
    },
    data: (chunk) => chunks.push(Buffer.from(chunk)),
    end() {
      if (open !== undefined) files.push({ path: open.path, mode: open.mode, content: Buffer.concat(chunks) });
      open = undefined;
    },
  });
  const frames = new FrameReader();
  let plain = 0;
  frames.write(archive, (bytes) => {
    plain += bytes.length;
    if (plain > record.plainBytes) throw wrong(`it holds more than ${record.plainBytes} bytes`);
    untar.write(bytes);
  });
  frames.end();
  untar.end(true);
  const [missing] = wanted;
  if (missing !== undefined) throw wrong(`it lacks ${missing}`);
  return files;
}

/** `mkdir -p` that goes through no symbolic link below `top`. */
async function makeBelow(top: string, directory: string, owner: Owner | undefined): Promise<void> {
  if (directory === dirname(directory)) return;
  if (directory !== top && !directory.startsWith(top === '/' ? '/' : `${top}/`)) return;
  await makeBelow(top, dirname(directory), owner);
  try {
    await mkdir(directory, { mode: 0o755 });
    if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    await syncDirectory(dirname(directory));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    if (directory !== top && !(await lstat(directory)).isDirectory()) throw wrong(`${directory} is no directory`);
  }
}

function wrong(detail: string): WalholdError {
  return new WalholdError('damaged', 'could not restore the configuration from outside the data directory', { detail });
}
