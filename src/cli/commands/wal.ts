import { InvalidArgumentError, type Command } from 'commander';
import { parseTimelineText, type TimelineId } from '../../postgres/timeline.ts';
import {
  withCommonOptions,
  withServerOptions,
  type CommonOptions,
  type Companion,
  type ServerFlags,
} from '../companion.ts';

export function addWalCommand(companion: Companion): void {
  const wal = companion.program
    .command('wal')
    .description('WAL files: list, inspect, push, resolve')
    .helpCommand(false);
  addList(wal, companion);
  addInspect(wal, companion);
  addPush(wal, companion);
  addResolve(wal, companion);
}

function addList(wal: Command, { run }: Companion): void {
  const command = wal.command('list').description('print every WAL file that is stored');
  withCommonOptions(command, 'reads')
    .option('--timeline <N>', 'of this timeline only (decimal, or hex with 0x)', timeline)
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions & { json?: boolean; timeline?: TimelineId }) => {
      await run(options, async (context) => {
        const { walList } = await import('../../commands/wal-list.ts');
        return await walList(context, { json: options.json === true, timeline: options.timeline });
      });
    });
}

function addInspect(wal: Command, { run, runWithoutConfig }: Companion): void {
  const command = wal
    .command('inspect')
    .description("show a WAL file's header, whether it fits its name, its digest, and who stored it when")
    .argument('<FILE|NAME>', 'a path (write ./NAME for one in this directory), or the name of a stored WAL file');
  withCommonOptions(command, 'reads')
    .option('--json', 'print JSON')
    .action(async (subject: string, options: CommonOptions & { json?: boolean }) => {
      const json = options.json === true;
      if (subject.includes('/')) {
        await runWithoutConfig(async (context) => {
          const { inspectFile } = await import('../../commands/wal-inspect.ts');
          return await inspectFile(context, subject, { json });
        });
      } else {
        await run(options, async (context) => {
          const { inspectStored } = await import('../../commands/wal-inspect.ts');
          return await inspectStored(context, subject, { json });
        });
      }
    });
}

function addPush(wal: Command, { run }: Companion): void {
  const command = wal
    .command('push')
    .description('store every ready file, and every complete segment and history file that a repository lacks');
  withServerOptions(withCommonOptions(command, 'writes'))
    .option('--check', 'only list what is missing')
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions & ServerFlags & { check?: boolean; json?: boolean }) => {
      await run(options, async (context) => {
        const { walPush } = await import('../../commands/wal-push.ts');
        const { pgdata, dbname, check = false, json = false } = options;
        return await walPush(context, { pgdata, dbname, check, json });
      });
    });
}

function addResolve(wal: Command, { run }: Companion): void {
  const command = wal
    .command('resolve')
    .description(
      'show every content of a WAL file, here and in each repository, and remove what is not authentic (with credentials that may)',
    )
    .argument('<NAME>', 'the name of a WAL file');
  withCommonOptions(command, 'checks')
    .option('-D, --pgdata <DIRECTORY>', 'data directory (default: PGDATA)')
    .option('--remove <ID>', 'remove this content, by the id shown, and nothing else')
    .option('-n, --dry-run', 'only show')
    .option('--json', 'print JSON')
    .action(async (name: string, options: ResolveFlags) => {
      await run(options, async (context) => {
        const { walResolve } = await import('../../commands/wal-resolve.ts');
        const { pgdata, remove, dryRun = false, json = false } = options;
        return await walResolve(context, name, { pgdata, remove, dryRun, json });
      });
    });
}

interface ResolveFlags extends CommonOptions {
  pgdata?: string;
  remove?: string;
  dryRun?: boolean;
  json?: boolean;
}

function timeline(text: string): TimelineId {
  const parsed = parseTimelineText(text);
  if (parsed === undefined) throw new InvalidArgumentError('It is not a timeline.');
  return parsed;
}
