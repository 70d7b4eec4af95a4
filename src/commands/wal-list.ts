import { formatTimeline, type TimelineId } from '../postgres/timeline.ts';
import { identify } from '../repository/identified.ts';
import { storedWal, type StoredWal } from '../repository/stored-wal.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { formatBytes } from './format-bytes.ts';
import { warnOfUnread } from './repository-failures.ts';
import { withRepositories } from './with-repositories.ts';

/** One entry of `walhold wal list --json`. */
export interface WalListJson {
  name: string;
  kind: 'segment' | 'partial' | 'history' | 'backup-label';
  timeline: number;
  key: string;
  storedAt: string;
  storedBytes: number;
  repositories: number[];
}

/** A year of a busy cluster is a million lines: they are written as they come. */
const LINES_AT_ONCE = 1000;

/** Prints every WAL file that is stored, in the order of the keys. A repository that does not answer is a fault. */
export async function walList(
  context: CommandContext,
  options: { json: boolean; timeline: TimelineId | undefined },
): Promise<CommandOutcome> {
  return await withRepositories(context, async (repositories): Promise<CommandOutcome> => {
    const { signal, print, log } = context;
    const { known, failures } = await identify(repositories, { signal });
    warnOfUnread(log, failures);
    const { timeline } = options;
    const range = timeline === undefined ? {} : { timelineHex: formatTimeline(timeline) };
    const lines: string[] = [];
    let written = 0;
    const flush = (): void => {
      print(lines.join(''));
      lines.length = 0;
    };
    for await (const wal of storedWal(known, { signal, ...range })) {
      lines.push(options.json ? `${written === 0 ? '[' : ','}\n${JSON.stringify(jsonOf(wal))}` : lineOf(wal));
      written += 1;
      if (lines.length === LINES_AT_ONCE) flush();
    }
    if (options.json) lines.push(written === 0 ? '[]\n' : '\n]\n');
    flush();
    return failures.length === 0 ? 'done' : 'fault';
  });
}

function jsonOf({ key, file, storedAt, storedBytes, repositories }: StoredWal): WalListJson {
  const { name, kind, timeline } = file;
  return { name, kind, timeline, key, storedAt: storedAt.toISOString(), storedBytes, repositories: [...repositories] };
}

function lineOf({ file, storedAt, storedBytes, repositories }: StoredWal): string {
  const size = formatBytes(storedBytes).padStart(9);
  return `${file.name.padEnd(40)}  ${size}  ${storedAt.toISOString()}  repo ${repositories.join(', ')}\n`;
}
