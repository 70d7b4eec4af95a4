import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/build.ts';

const IMPORTS = 'eslint(no-restricted-imports)';

/** The rooms from top to bottom, and those that each may import besides itself. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  cli: ['commands', 'worker', 'repository', 'server', 'config', 'spool', 'store', 'stream', 'postgres', 'base'],
  commands: ['worker', 'repository', 'server', 'config', 'spool', 'store', 'stream', 'postgres', 'base'],
  worker: ['repository', 'config', 'spool', 'store', 'stream', 'postgres', 'base'],
  repository: ['spool', 'store', 'stream', 'postgres', 'base'],
  server: ['spool', 'store', 'stream', 'postgres', 'base'],
  config: ['spool', 'store', 'stream', 'postgres', 'base'],
  spool: ['postgres', 'base'],
  store: ['postgres', 'base'],
  stream: ['postgres', 'base'],
  postgres: ['base'],
  base: [],
};

/** The packages that are confined, and the files that may import them, one in each place. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@aws-sdk/client-s3': ['src/store/s3.ts', 'src/store/s3-client.ts'],
  '@smithy/node-http-handler': ['src/store/s3.ts'],
  '@google-cloud/storage': ['src/store/gcs.ts'],
  'zstd-napi': ['src/stream/zstd.ts'],
  'zstd-napi/binding.js': ['src/stream/zstd.ts'],
  pg: ['src/server/session.ts'],
  commander: ['src/cli/arguments.ts', 'src/cli/commands/list.ts'],
  pino: ['src/base/log.ts', 'src/cli/log.ts'],
};

/** Those that may import the stores, and for whom deleting is none of their business. */
const REMOVING_ROOMS = ['cli', 'commands', 'worker', 'repository', 'server', 'config'];

/** A file and what is said about it: nothing, or the rule that it breaks. */
interface Scratch {
  path: string;
  content: string;
  complaint: string | undefined;
}

const scratches: Scratch[] = [
  ...Object.keys(ROOMS).flatMap((room) => Object.keys(ROOMS).map((other) => between(room, other))),
  {
    path: 'src/store/deep/folder/up.ts',
    content: `import { x } from '../../../repository/layout.ts';\nexport const y = x;\n`,
    complaint: IMPORTS,
  },
  ...['test/support/run.ts', 'scripts/build.ts'].map((path) => ({
    path: `src/cli/uses-${dirname(path).replaceAll('/', '-')}.ts`,
    content: `import { x } from '../../${path}';\nexport const y = x;\n`,
    complaint: IMPORTS,
  })),
  ...Object.entries(PACKAGES).flatMap(([name, places]) => packageUses(name, places)),
  ...REMOVING_ROOMS.map((room) => removal(`src/${room}/removes.ts`, IMPORTS)),
  ...['wal-resolve', 'expire'].map((name) => removal(`src/commands/${name}.ts`, undefined)),
  ...[
    ['process.exit(1);', 'unicorn(no-process-exit)'],
    ['console.log("x");', 'eslint(no-console)'],
    ['export const home = process.env["HOME"];', 'node(no-process-env)'],
    ['export const now = Date.now();', 'eslint(no-restricted-properties)'],
    ['export const dice = Math.random();', 'eslint(no-restricted-properties)'],
    ['export default 1;', 'import(no-default-export)'],
  ].map(([content = '', complaint], at) => ({
    path: `src/commands/habit-${at}.ts`,
    content: `${content}\n`,
    complaint,
  })),
  { path: 'src/cli/exit.ts', content: 'process.exit(1);\n', complaint: undefined },
  { path: 'src/cli/environment.ts', content: 'export const home = process.env["HOME"];\n', complaint: undefined },
];

describe('the lint configuration', () => {
  const folder = mkdtempSync(join(tmpdir(), 'walhold-layers-'));
  const complaints = new Map<string, string[]>();

  beforeAll(() => {
    cpSync(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    for (const { path, content } of scratches) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    const oxlint = join(ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint');
    const args = [oxlint, '-c', '.oxlintrc.json', '--format', 'json', '.'];
    const result = spawnSync(process.execPath, args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: 15_000,
      maxBuffer: 1 << 26,
    });
    const report = JSON.parse(result.stdout) as { diagnostics: { code: string; filename: string }[] };
    for (const { code, filename } of report.diagnostics) {
      complaints.set(filename, [...(complaints.get(filename) ?? []), code]);
    }
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it('names every room that there is', () => {
    const rooms = readdirSync(join(ROOT, 'src'));
    expect(rooms.filter((room) => ROOMS[room] === undefined)).toEqual([]);
  });

  it.each(scratches.map((scratch) => ({ ...scratch, said: scratch.complaint ?? 'nothing' })))(
    'says $said about $path',
    ({ path, complaint }) => {
      expect(complaints.get(path) ?? []).toEqual(complaint === undefined ? [] : [complaint]);
    },
  );
});

function between(room: string, other: string): Scratch {
  const allowed = room === other || ROOMS[room]?.includes(other) === true;
  const content = `export const x = async (): Promise<unknown> => await import('../${other}/thing.ts');\n`;
  return { path: `src/${room}/to-${other}.ts`, content, complaint: allowed ? undefined : IMPORTS };
}

/** The package imported in each of its own places, and in a file of the same name in every room. */
function packageUses(name: string, places: readonly string[]): Scratch[] {
  const content = `export const x = async (): Promise<unknown> => await import('${name}');\n`;
  const own = places.map((path) => ({ path: path.replace('.ts', `-${slug(name)}.ts`), content, complaint: undefined }));
  const rooms = new Set(places.map((path) => path.split('/')[1]));
  const elsewhere = Object.keys(ROOMS).filter((room) => !rooms.has(room));
  return [
    ...own,
    ...elsewhere.map((room) => ({ path: `src/${room}/uses-${slug(name)}.ts`, content, complaint: IMPORTS })),
  ];
}

/** Deleting, asked for by a file. */
function removal(path: string, complaint: string | undefined): Scratch {
  const content = `export const x = async (): Promise<unknown> => await import('../store/open-remover.ts');\n`;
  return { path, content, complaint };
}

function slug(name: string): string {
  return name.replaceAll(/\W+/g, '-');
}
