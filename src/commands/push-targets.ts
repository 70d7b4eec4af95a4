import type { ControlFile } from '../postgres/control-file.ts';
import type { WalFile } from '../postgres/wal-name.ts';
import { segmentNumber } from '../postgres/wal-name.ts';
import { ensureIdentity, requireIdentity } from '../repository/identity.ts';
import { partialPrefix, walKey } from '../repository/layout.ts';
import { readWalInventory } from '../repository/read-wal-inventory.ts';
import { placeText, type Repository } from '../repository/repository.ts';
import { problemOf } from '../repository/verify-problem.ts';
import { walOf, type WalInventory } from '../repository/wal-inventory.ts';
import type { LocalWalFile } from '../server/pg-wal.ts';
import { isKnownRepository, rememberRepository } from '../spool/known-repositories.ts';
import type { Spool } from '../spool/spool.ts';
import type { CommandContext } from './command-context.ts';
import type { PushFailure } from './push-failure.ts';

/** A repository that belongs to the cluster, and what of the candidates it lacks. */
export interface PushTarget {
  repository: Repository;
  lacks(file: WalFile): boolean;
}

export interface TargetsInput {
  control: ControlFile;
  candidates: readonly LocalWalFile[];
  spool: Spool;
  /** `store`: a new repository gets its identity. */
  mode: 'look' | 'store';
}

/** The repositories that answer, by one listing of each timeline. Those that do not are failures; the others go on. */
export async function openTargets(
  repositories: readonly Repository[],
  input: TargetsInput,
  context: CommandContext,
): Promise<{ targets: PushTarget[]; failures: PushFailure[] }> {
  const targets: PushTarget[] = [];
  const failures: PushFailure[] = [];
  for (const repository of repositories) {
    try {
      await identify(repository, input, context);
      targets.push(await lookInto(repository, input, context));
    } catch (error) {
      context.signal.throwIfAborted();
      failures.push({ name: null, repository: repository.number, message: problemOf(error, repository.url).message });
    }
  }
  return { targets, failures };
}

async function identify(repository: Repository, input: TargetsInput, context: CommandContext): Promise<void> {
  const { signal, by, clock } = context;
  const { control, spool, mode } = input;
  const { systemId } = control;
  if (mode === 'look') {
    await requireIdentity(repository.store, { signal, systemId });
    return;
  }
  const place = placeText(repository.settings);
  const known = await isKnownRepository(spool, place, systemId);
  await ensureIdentity(repository, { signal, systemId, known, by, now: new Date(clock.now()) });
  await rememberRepository(spool, place, systemId);
}

async function lookInto(repository: Repository, input: TargetsInput, { signal }: CommandContext): Promise<PushTarget> {
  const { control, candidates } = input;
  const { systemId, segmentBytes } = control;
  const segnos = candidates.flatMap(({ file }) => segnoOf(file, segmentBytes) ?? []);
  const from = segnos.reduce<bigint | undefined>((low, one) => (low === undefined || one < low ? one : low), undefined);
  const inventory = await readWalInventory([repository], { signal, systemId, segmentBytes, from: from ?? 0n });
  const labels = new Set<string>();
  for (const { file } of candidates) {
    // Few, and not in the inventory.
    if (file.kind === 'backup-label' && (await repository.store.stat(walKey(file), { signal }))) labels.add(file.name);
  }
  return { repository, lacks: (file) => !isStored(file, inventory, labels) };
}

function isStored(file: WalFile, inventory: WalInventory, labels: ReadonlySet<string>): boolean {
  switch (file.kind) {
    case 'segment': {
      const segno = segmentNumber(file, inventory.segmentBytes);
      return segno !== undefined && walOf(inventory, file.timeline).segments.get(segno) !== undefined;
    }
    case 'history':
      return inventory.histories.has(file.timeline);
    case 'backup-label':
      return labels.has(file.name);
    case 'partial': {
      const prefix = partialPrefix(file.segment);
      return walOf(inventory, file.timeline).partials.some(({ key }) => key.startsWith(prefix));
    }
  }
}

function segnoOf(file: WalFile, segmentBytes: number): bigint | undefined {
  return file.kind === 'history' ? undefined : segmentNumber(file, segmentBytes);
}
