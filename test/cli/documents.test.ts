import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { settingsSample } from '../../scripts/settings-sample.ts';
import { loadConfig } from '../../src/config/load.ts';
import { findSetting } from '../../src/config/setting-name.ts';
import { SETTINGS } from '../../src/config/settings.ts';
import { blocksFor, blocksIn, blocksOf, documents, type DocumentBlock } from '../support/document-blocks.ts';
import { built } from '../support/hook.ts';
import { run } from '../support/run.ts';

/** Blocks in these languages are commands or configuration: somebody will copy them. */
const TO_BE_TESTED = ['sh', 'bash', 'console', 'conf', 'ini', 'json', 'yaml', 'sql'];

const everyBlock = documents().flatMap(blocksOf);

describe('every block that somebody may copy', () => {
  const copied = everyBlock.filter(({ language }) => TO_BE_TESTED.includes(language));

  test.each(copied.map((block) => [`${block.document}:${block.line}`, block] as const))(
    '%s names its test',
    (_, block) => {
      expect(block.test, 'a line <!-- test: PATH --> before the block').toBeDefined();
    },
  );

  test.each(marks())('%s takes its blocks out of the document', (path, scenarios) => {
    const source = existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : '';
    for (const scenario of scenarios) {
      const call = scenario === '' ? 'blocksFor(import.meta.url)' : `'${scenario}'`;
      expect(source, `${path} must use ${scenario}`).toContain(call);
    }
    expect(source).toContain('blocksFor(import.meta.url');
  });

  test('a block without a language is a picture: nothing in it is to be run', () => {
    const commands = everyBlock.filter(
      ({ language, text }) => language === '' && /^(\$ |walhold |\.\/scripts)/m.test(text),
    );
    expect(commands.map(({ document, line }) => `${document}:${line}`)).toEqual([]);
  });

  test('a fence that is indented or never closed is an error, not a block that nobody sees', () => {
    expect(() => blocksIn('x.md', 'a\n  ```sh\nrm\n  ```\n')).toThrow('x.md:2: a fence must begin its line');
    expect(() => blocksIn('x.md', '```sh\nrm\n')).toThrow('x.md:1: the block is never closed');
  });
});

describe('commands in running text', () => {
  test.each(mentions())('%s exists, with its options', async (mention) => {
    const { command, options } = wordsOf(mention);
    const program = await built('walhold');
    const help = await run([program, ...command, '--help']);
    expect(help.status, help.stderr).toBe(0);
    const usage = command.length === 0 ? 'Usage: walhold' : `Usage: walhold ${command.join(' ')}`;
    expect(help.stdout).toContain(usage);
    for (const option of options) {
      if (findSetting(option.slice(2).replaceAll('-', '_')) !== undefined) continue;
      expect(help.stdout, `${option} in the help of ${command.join(' ')}`).toMatch(new RegExp(`${option}\\b`));
    }
  });
});

describe('links', () => {
  test.each(links())('%s → %s leads somewhere', (document, target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? document : join(dirname(document), path);
    expect(existsSync(join(ROOT, file)), file).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(file)).toContain(anchor);
  });
});

describe('the settings shown in README.md', () => {
  const [block] = blocksFor(import.meta.url, 'walhold.conf');
  const text = block?.text ?? '';

  test('are all there are, with their defaults (scripts/settings-sample.ts prints them)', () => {
    expect(text).toBe(settingsSample());
    for (const { name } of SETTINGS) expect(text).toMatch(new RegExp(`^#?${name} = '`, 'm'));
  });

  test('load, also when every default is set that this version supports', () => {
    const [supported = ''] = text.split('# - Not in this version');
    const withDefaults = supported.replaceAll(/^#(?=\w+ = '[^']+')/gm, '');
    for (const file of [text, withDefaults]) {
      const { config, warnings } = loadConfig({
        arguments: { configFile: '/etc/walhold/walhold.conf', flags: new Map() },
        environment: {},
        readFile: () => file,
      });
      expect(config.repositories).toHaveLength(1);
      expect(warnings).toEqual([]);
    }
    expect(withDefaults.match(/^\w+ = /gm)?.length).toBeGreaterThan(10);
  });
});

test("Patroni's settings are those of postgresql.conf.sample", () => {
  const [block] = blocksFor(import.meta.url, 'patroni');
  const sample = readFileSync(join(ROOT, 'postgresql.conf.sample'), 'utf8');
  const shown = [...(block?.text ?? '').matchAll(/^ +(archive_\w+|wal_\w+|restore_command): (.+)$/gm)];
  expect(shown.length).toBeGreaterThan(3);
  expect(block?.text).toContain('--archive-mode preserve'); // else a member made so does not archive once it leads
  for (const [, name, value = ''] of shown) {
    expect(sample).toMatch(new RegExp(`^${name} = '?${value.replaceAll('"', '')}'?(\\t|$)`, 'm'));
  }
});

test('the messages that README.md explains are those that the sources write', () => {
  const sources = globSync('src/**/*.ts', { cwd: ROOT }).map((path) => readFileSync(join(ROOT, path), 'utf8'));
  const text = sources.join('\n').replaceAll('\\', '');
  const section = /## Trouble\n([\s\S]*?)\n## /.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1] ?? '';
  const messages = [...section.matchAll(/^\| `([^|]+)` \|/gm)].map(([, message = '']) => message);
  expect(messages.length).toBeGreaterThan(5);
  const parts = messages.flatMap((message) => message.split('…').map((part) => part.trim()));
  expect(parts.filter((part) => !text.includes(part))).toEqual([]);
});

/** The tests that documents name, with the scenarios. */
function marks(): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const { test: path, scenario } of everyBlock.filter(
    (block): block is DocumentBlock & { test: string } => block.test !== undefined,
  )) {
    found.set(path, [...new Set([...(found.get(path) ?? []), scenario])]);
  }
  return [...found];
}

/** Code in running text that calls `walhold`, each once. */
function mentions(): string[] {
  const found = documents().flatMap((document) =>
    [...withoutBlocks(document).matchAll(/`(walhold [^`]+)`/g)].map(([, code = '']) => code),
  );
  return [...new Set(found)];
}

function wordsOf(mention: string): { command: string[]; options: string[] } {
  const words = mention.split(' ').slice(1);
  const options = words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.replace(/=.*/, ''));
  const first = words.findIndex((word, index) => /^[a-z]+$/.test(word) && !(words[index - 1] ?? '').startsWith('-'));
  if (first === -1) return { command: [], options };
  const nested = ['wal', 'repo', 'lock'].includes(words[first] ?? '') && /^[a-z]+$/.test(words[first + 1] ?? '');
  return { command: words.slice(first, first + (nested ? 2 : 1)), options };
}

function links(): [string, string][] {
  return documents().flatMap((document) =>
    [...withoutBlocks(document).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']): [string, string] => [document, target])
      .filter(([, target]) => !/^[a-z]+:/.test(target)),
  );
}

/** As the usual renderers make them from headings. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(join(ROOT, file), 'utf8').match(/^#+ .+$/gm) ?? [];
  return headings.map((line) =>
    line
      .replace(/^#+ /, '')
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

function withoutBlocks(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '');
}
