import { link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ListJson } from '../../src/commands/list.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { parseWalName, segmentName } from '../../src/postgres/wal-name.ts';
import { logPrefix, walKey } from '../../src/repository/layout.ts';
import { archivedCluster, backUp, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;
const PER_LOG = 256;

test('a backup leaves a seal of the logs that are whole, and what is read by it is what verify finds', async () => {
  await using archived = await archivedCluster({ segmentMb: 16 });
  const { cluster, config } = archived;
  await cluster.start();
  await archiveEverything(cluster);
  expect(await sealsOf(archived)).toEqual([]);
  // As if the cluster had written on for long, without waiting for it.
  await putCopies(archived, 20 * PER_LOG, 40 * PER_LOG - 1);
  await backUp(cluster, config);
  expect(await sealsOf(archived)).toHaveLength(1);
  const { gaps } = JSON.parse((await walholdOk(cluster, config, ['list', '--json'])).stdout) as ListJson;
  expect(gaps).toMatchObject([{ last: nameOf(20 * PER_LOG - 1) }]);
  const verified = await walhold(cluster, config, ['verify', '--quick', '--json']);
  const { problems } = JSON.parse(verified.stdout) as VerifyJson;
  expect(problems.filter(({ code }) => code !== 'missing-segment')).toEqual([]);
});

async function sealsOf({ repository }: Archived): Promise<string[]> {
  return await readdir(join(repository, 'seal')).catch(() => []);
}

/** Names that come later, for one and the same segment: nothing reads what is in them. */
async function putCopies({ repository }: Archived, first: number, last: number): Promise<void> {
  const model = keyOf(1);
  for (let segno = first; segno <= last; segno += 1) {
    await mkdir(join(repository, logPrefix(nameOf(segno))), { recursive: true });
    await link(join(repository, model), join(repository, keyOf(segno)));
  }
}

function nameOf(segno: number): string {
  return segmentName(timelineId(1), BigInt(segno), SEGMENT_BYTES);
}

function keyOf(segno: number): string {
  const file = parseWalName(nameOf(segno));
  if (file?.kind !== 'segment') throw new Error('no segment');
  return walKey(file);
}
