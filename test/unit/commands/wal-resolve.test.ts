import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SILENT } from '../../../src/base/log.ts';
import { resolveName, type LocalContent } from '../../../src/commands/wal-resolve.ts';
import type { ResolveJson } from '../../../src/commands/wal-resolve/resolve-report.ts';
import { parseWalName } from '../../../src/postgres/wal-name.ts';
import { pushInto } from '../../../src/repository/wal-archive.ts';
import { sha256 } from '../../../src/stream/checksum.ts';
import { callCompanion, jsonOf } from '../../support/companion-call.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { memoryRepository, preparedWal, type MemoryRepository } from '../../support/memory-repository.ts';
import { NOW } from '../../support/memory-store.ts';
import { nameOf, segmentBytes } from '../../support/made-segments.ts';
import { WalBuilder } from '../../support/wal-builder.ts';

const NAME = nameOf(5);
const ours = segmentBytes(5);
const wal = preparedWal(NAME, ours);
/** As another server of the same cluster would have written it. */
const theirs = ((): Buffer => {
  const builder = new WalBuilder({ segno: 5n, timeline: 1, systemId: SYSTEM_ID, magic: 0xd110 });
  builder.record({ xid: 701, data: Buffer.from('another') });
  builder.switchSegment();
  return builder.segment(0);
})();
const other = preparedWal(NAME, theirs);
const LOCKED = { mode: 'compliance' as const, until: new Date(NOW.getTime() + 86_400_000) };
const signal = new AbortController().signal;

function localOf(plain: Buffer | undefined): LocalContent {
  const control = { systemId: SYSTEM_ID, segmentBytes: 1024 * 1024 };
  if (plain === undefined) return { control, content: undefined };
  const json = {
    path: `/data/pg_wal/${NAME}`,
    authentic: true,
    why: [],
    sha256: sha256(plain),
    bytes: plain.length,
    modifiedAt: NOW.toISOString(),
  };
  return { control, content: { plain, json } };
}

async function resolve(
  repositories: readonly MemoryRepository[],
  options: { local?: Buffer; remove?: string; dryRun?: boolean; name?: string } = {},
): Promise<ResolveJson & { outcome: string; actions: string[] }> {
  const file = parseWalName(options.name ?? NAME);
  if (file === undefined) throw new Error('no name');
  let printed = '';
  const outcome = await resolveName(
    {
      file,
      local: localOf(options.local),
      repositories: repositories.map(({ repository }) => repository),
      openRemover: async ({ number }) =>
        await Promise.resolve((repositories[number - 1] as MemoryRepository).memory.remover),
    },
    { signal, log: SILENT, print: (text) => (printed += text) },
    { remove: options.remove, dryRun: options.dryRun === true, json: true },
  );
  const result = JSON.parse(printed) as ResolveJson;
  const actions = result.stored.map(({ id, authentic, action }) => `${id} ${String(authentic)} ${action}`);
  return { ...result, outcome, actions };
}

describe('resolving a conflict', () => {
  it('shows who stored what, and how it differs from what the server has', async () => {
    const made = memoryRepository({ versioned: true, locks: 'kept' });
    made.memory.put(wal.key, other.encoded.bytes, { retention: LOCKED });
    const result = await resolve([made], { local: ours });
    expect(result).toMatchObject({ outcome: 'fault', resolved: false, local: { sha256: sha256(ours) } });
    expect(result.conflict).toContain('--remove ID');
    expect(result.stored).toMatchObject([
      {
        repository: 1,
        object: `memory://1/${wal.key}`,
        current: true,
        authentic: true,
        sha256: sha256(theirs),
        by: 'walhold on here',
        lock: { mode: 'compliance', until: LOCKED.until.toISOString(), hold: false },
        comparison: { kind: 'different', recordLsn: '0/500028' },
        action: 'kept',
      },
    ]);
    expect(made.memory.content(wal.key)).toEqual(Buffer.from(other.encoded.bytes));
  });

  it('removes what is not authentic, by version, and nothing else', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true });
    made.memory.put(wal.key, Buffer.from('squatted'));
    made.memory.put(wal.key, wal.encoded.bytes);
    const result = await resolve([made]);
    expect(result).toMatchObject({ outcome: 'done', resolved: true, actions: ['v2 false removed', 'v3 true kept'] });
    expect(made.memory.content(wal.key)).toEqual(Buffer.from(wal.encoded.bytes));
  });

  it('frees a name that junk took, and the push that was refused goes through', async () => {
    const made = memoryRepository({ mayRemove: true });
    made.memory.put(wal.key, Buffer.from('squatted'));
    const push = async (): Promise<string> => pushInto(made.repository, wal, { signal, log: SILENT });
    await expect(push()).rejects.toMatchObject({ code: 'damaged' });
    expect(await resolve([made], { local: ours })).toMatchObject({ outcome: 'done', resolved: true });
    expect(await push()).toBe('stored');
  });

  it('hides junk that is locked, so that the name can be pushed again, and says until when it stays', async () => {
    const made = memoryRepository({ versioned: true, locks: 'kept', mayRemove: true, mayHide: true });
    made.memory.put(wal.key, Buffer.from('squatted'), { retention: LOCKED });
    const result = await resolve([made], { local: ours });
    expect(result).toMatchObject({ outcome: 'done', actions: ['v2 false hidden'] });
    expect(result.stored[0]?.note).toContain(`locked until ${LOCKED.until.toISOString()}`);
    await made.repository.store.create(wal.key, { kind: 'buffer', bytes: wal.encoded.bytes }, { signal });
    // Once it is stored there is nothing more to do, however often this runs.
    const again = await resolve([made], { local: ours });
    expect(again).toMatchObject({ outcome: 'done', actions: ['v2 false denied', 'v3 null kept', 'v4 true kept'] });
    expect(made.memory.calls.filter((call) => call.startsWith('hide'))).toHaveLength(1);
  });

  it('says that these credentials may not, and that the conflict is still there', async () => {
    const made = memoryRepository({ versioned: true });
    made.memory.put(wal.key, Buffer.from('squatted'));
    const result = await resolve([made], { local: ours });
    expect(result).toMatchObject({ outcome: 'fault', resolved: false, actions: ['v2 false denied'] });
    expect(result.stored[0]?.note).toContain('may not');
  });

  it('only shows when it is to', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true, mayHide: true });
    made.memory.put(wal.key, Buffer.from('squatted'));
    const result = await resolve([made], { local: ours, dryRun: true });
    expect(result).toMatchObject({ outcome: 'fault', actions: ['v2 false would-remove'] });
    expect(made.memory.calls.filter((call) => /^(remove|hide)/.test(call))).toEqual([]);
  });

  it('removes an authentic content only when it is named', async () => {
    const made = memoryRepository({ mayRemove: true });
    made.memory.put(wal.key, other.encoded.bytes);
    const id = (await resolve([made], { local: ours })).stored[0]?.id ?? '';
    expect(id).toBe(sha256(other.encoded.bytes).slice(0, 16));
    const result = await resolve([made], { local: ours, remove: id });
    expect(result).toMatchObject({ outcome: 'done', actions: [`${id} true removed`] });
    expect(made.memory.content(wal.key)).toBeUndefined();
  });

  it('never removes the only authentic content, named or not', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true });
    const id = made.memory.put(wal.key, wal.encoded.bytes);
    const result = await resolve([made], { remove: id });
    expect(result).toMatchObject({ outcome: 'done', actions: [`${id} true kept`] });
    expect(result.stored[0]?.note).toContain('the only authentic content');
  });

  it('refuses an id that nothing has', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true });
    made.memory.put(wal.key, wal.encoded.bytes);
    await expect(resolve([made], { remove: 'v99' })).rejects.toMatchObject({ code: 'not-found' });
  });

  it('keeps what a newer version stored', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true });
    const { frameOfFormat } = await import('../../support/newer-format.ts');
    made.memory.put(wal.key, frameOfFormat(2));
    const result = await resolve([made], { local: ours });
    expect(result).toMatchObject({ outcome: 'fault', actions: ['v2 null kept'] });
    expect(result.stored[0]?.why).toEqual(['it was stored by a newer version of walhold']);
  });

  it('keeps a damaged object of which nothing better is known', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true });
    const broken = Buffer.from(wal.encoded.bytes);
    broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 1, broken.length - 1);
    made.memory.put(wal.key, broken);
    const result = await resolve([made]);
    expect(result).toMatchObject({ outcome: 'fault', actions: ['v2 false kept'] });
    expect(result.stored[0]?.note).toContain('--remove v2');
  });

  it('calls nothing a conflict that two archivers of one cluster leave', async () => {
    const made = memoryRepository({ versioned: true });
    const recycled = Buffer.from(ours);
    recycled.fill(0x99, recycled.length - 8192);
    made.memory.put(wal.key, preparedWal(NAME, recycled).encoded.bytes);
    const result = await resolve([made], { local: ours });
    expect(result).toMatchObject({ outcome: 'done', stored: [{ comparison: { kind: 'same-records' } }] });
  });

  it('looks into every repository, and takes a sound segment of another name for what it is', async () => {
    const one = memoryRepository({ number: 1, mayRemove: true });
    const two = memoryRepository({ number: 2, mayRemove: true });
    one.memory.put(wal.key, wal.encoded.bytes);
    two.memory.put(wal.key, preparedWal(nameOf(6), segmentBytes(6)).encoded.bytes);
    const result = await resolve([one, two]);
    expect(result).toMatchObject({ outcome: 'done', stored: [{ action: 'kept' }, { action: 'removed' }] });
    expect(result.stored[1]?.why).toContain(`it says that it is segment ${nameOf(6)}`);
    expect(two.memory.content(wal.key)).toBeUndefined();
  });

  it('does not read what is larger than any segment', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true });
    made.memory.put(wal.key, Buffer.alloc(3 * 1024 * 1024));
    const result = await resolve([made], { local: ours, dryRun: true });
    expect(result.stored[0]).toMatchObject({ authentic: false, why: [expect.stringContaining('no segment needs')] });
    expect(made.memory.calls).not.toContain(`open ${wal.key}`);
  });

  it('removes nothing where the store gives another version than the one asked for', async () => {
    const made = memoryRepository({ versioned: true, mayRemove: true });
    made.memory.put(wal.key, Buffer.from('squatted'));
    made.memory.put(wal.key, wal.encoded.bytes);
    const { store } = made.repository;
    const deaf = { ...store, open: (key: string) => store.open(key, { signal }) };
    const result = await resolve([{ ...made, repository: { ...made.repository, store: deaf } }], { local: ours });
    expect(result.actions).toEqual(['v2 false removed', 'v3 null kept']);
  });

  it('removes nothing that came after the look', async () => {
    const made = memoryRepository({ mayRemove: true });
    made.memory.put(wal.key, Buffer.from('squatted'));
    const { store } = made.repository;
    const replaced: typeof store.open = async (key, options) => {
      const opened = await store.open(key, options);
      if (key === wal.key) made.memory.put(key, wal.encoded.bytes);
      return opened;
    };
    const repository = { ...made.repository, store: { ...store, open: replaced } };
    const result = await resolve([{ ...made, repository }], { local: ours });
    expect(result.stored[0]).toMatchObject({ authentic: false, action: 'denied' });
    expect(made.memory.content(wal.key)).toEqual(Buffer.from(wal.encoded.bytes));
  });

  it('makes do with the newest version where no others may be seen, and warns', async () => {
    const made = memoryRepository({ versioned: true, mayListVersions: false });
    made.memory.put(wal.key, wal.encoded.bytes);
    expect(await resolve([made])).toMatchObject({ outcome: 'done', stored: [{ version: 'v2', authentic: true }] });
  });
});

describe('walhold wal resolve', () => {
  it('clears a directory, and prints both contents for people', async () => {
    await using stored = await FileRepository.create();
    const data = await mkdtemp(join(tmpdir(), 'walhold-resolve-'));
    try {
      await stored.put(wal.key, 'squatted');
      const argv = ['wal', 'resolve', NAME, '--repo', `file://${stored.root}`];
      const shown = await callCompanion([...argv, '--dry-run']);
      expect(shown).toMatchObject({ status: 1, stderr: '' });
      expect(shown.stdout).toContain('authentic:    no: it has no description');
      expect(shown.stdout).toContain('nothing authentic of this name is known');
      expect(await readFile(join(stored.root, wal.key), 'utf8')).toBe('squatted');

      const second = await FileRepository.create(2);
      await using _ = second;
      await second.put(wal.key, wal.encoded.bytes);
      const cleared = await callCompanion([...argv, '--repo2', `file://${second.root}`, '--json']);
      expect(jsonOf<ResolveJson>(cleared)).toMatchObject({
        name: NAME,
        resolved: true,
        local: null,
        stored: [{ action: 'removed' }, { action: 'kept', authentic: true }],
      });
      await expect(readFile(join(stored.root, wal.key))).rejects.toMatchObject({ code: 'ENOENT' });
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  });

  it('refuses what is no name', async () => {
    expect(await callCompanion(['wal', 'resolve', 'x', '--repo', 'file:///nowhere'])).toMatchObject({ status: 2 });
  });
});
