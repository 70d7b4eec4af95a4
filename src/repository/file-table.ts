import { WalholdError } from '../base/errors.ts';
import type { Manifest } from '../postgres/manifest-reader.ts';
import { pathKey } from '../postgres/path-key.ts';
import type { BackupRecord } from './backup-record.ts';
import type { MemberUse } from './chain-files.ts';

const DIGEST_BYTES = 32;
const USES: readonly MemberUse[] = ['whole', 'blocks', 'base', 'unused', 'blank'];

/**
 * What is known of each file of a backup beside its record, by its number there: counted through all parts and frames. Bytes side by side,
 * since there can be millions.
 */
export class FileTable {
  readonly #digests: Buffer;
  readonly #uses: Uint8Array;

  private constructor(files: number) {
    this.#digests = Buffer.alloc(files * DIGEST_BYTES);
    this.#uses = new Uint8Array(files);
  }

  /**
   * Every file of the record must be in the manifest with its size and a SHA-256, and the other way round. Throws `damaged`.
   */
  static of({ id, parts }: Pick<BackupRecord, 'id' | 'parts'>, manifest: Manifest): FileTable {
    const numbers = new Map<string, number>();
    for (const { path } of filesOf(parts)) numbers.set(pathKey(path), numbers.size);
    const table = new FileTable(numbers.size);
    const sizes = new Float64Array(numbers.size).fill(-1);
    let extra: string | undefined;
    for (const { path, size, checksum } of manifest.files) {
      const key = pathKey(path);
      if (checksum?.algorithm !== 'SHA256') throw disagree(id, `${shown(key)} has no SHA-256 in the manifest`);
      const number = numbers.get(key);
      if (number === undefined) {
        extra ??= key;
        continue;
      }
      sizes[number] = size;
      table.#digests.write(checksum.hex, number * DIGEST_BYTES, 'hex');
    }
    let number = 0;
    for (const { path, size } of filesOf(parts)) {
      const known = sizes[number++];
      if (known === size) continue;
      const key = pathKey(path);
      if (known === -1) throw disagree(id, `${shown(key)} is in a part and not in the manifest`);
      throw disagree(id, `${shown(key)} has ${size} bytes in a part, ${known} in the manifest`);
    }
    if (extra !== undefined) throw disagree(id, `${shown(extra)} is in the manifest and in no part`);
    return table;
  }

  /** 64 hex digits. */
  sha256(number: number): string {
    return this.#digests.toString('hex', number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
  }

  /** Not known before it is set. */
  use(number: number): MemberUse {
    return USES[this.#uses[number] ?? 0] ?? 'whole';
  }

  setUse(number: number, use: MemberUse): void {
    this.#uses[number] = USES.indexOf(use);
  }
}

function* filesOf(
  parts: BackupRecord['parts'],
): Generator<BackupRecord['parts'][number]['frames'][number]['files'][number]> {
  for (const { frames } of parts) for (const { files } of frames) yield* files;
}

function shown(key: string): string {
  return key.startsWith('\0') ? key.slice(1, 200) : key.slice(0, 200);
}

function disagree(id: string, detail: string): WalholdError {
  return new WalholdError('damaged', `the record and the manifest of backup ${id} do not agree`, {
    detail,
    hint: 'Restore another backup, or see "walhold verify".',
  });
}
