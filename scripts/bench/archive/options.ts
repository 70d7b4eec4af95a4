import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SECTIONS, type SectionName } from '../results-file.ts';

export type ArchiveSection = Exclude<SectionName, 'commands' | 'locks' | 'seals'>;

export interface ArchiveOptions {
  /** In the order in which they run. */
  sections: readonly ArchiveSection[];
  rounds: number;
  /** As pgbench's: 60 makes 1 GB. */
  scale: number;
  /** Segments of the backlogs that are drained; the smallest is also that of the latencies and of the memory. */
  backlogs: readonly number[];
  /** Segments of a recovery that replays at once. */
  replay: number;
  /** Segments of a recovery of transactions. */
  busyReplay: number;
  /** How long pgbench runs in a trial. */
  seconds: number;
  /** Timed calls in a trial. */
  calls: number;
  /** Round trips, in ms. */
  latencies: readonly number[];
  stores: readonly ('files' | 'S3')[];
  /** Names of contenders; none: all of them. */
  only: readonly string[];
  /** Where the WAL is kept for the next run. */
  wal: string | undefined;
  output: string;
  /** The folder of the JSON files. */
  json: string;
  note: string;
}

const SECTION_NAMES: readonly ArchiveSection[] = SECTIONS.filter(
  (name) => name !== 'commands' && name !== 'locks' && name !== 'seals',
);

/** @throws for words that are no sections or options, and values that are none. */
export function archiveOptions(words: readonly string[]): ArchiveOptions {
  const text = (value: string): { type: 'string'; default: string } => ({ type: 'string', default: value });
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      rounds: text('5'),
      scale: text('60'),
      backlogs: text('60,500'),
      replay: text('200'),
      'busy-replay': text('40'),
      seconds: text('60'),
      calls: text('30'),
      latencies: text('20,80'),
      stores: text('files,S3'),
      only: text(''),
      wal: { type: 'string' },
      output: text(fileURLToPath(new URL('../RESULTS.md', import.meta.url))),
      json: text(fileURLToPath(new URL('../results', import.meta.url))),
      note: text(''),
    },
  });
  return {
    sections: sectionsOf(positionals),
    rounds: number('rounds', values.rounds),
    scale: number('scale', values.scale),
    backlogs: list(values.backlogs).map((one) => number('backlogs', one)),
    replay: number('replay', values.replay),
    busyReplay: number('busy-replay', values['busy-replay']),
    seconds: number('seconds', values.seconds),
    calls: number('calls', values.calls),
    latencies: list(values.latencies).map((one) => number('latencies', one)),
    stores: list(values.stores).map(storeKind),
    only: list(values.only),
    wal: values.wal,
    output: values.output,
    json: values.json,
    note: values.note,
  };
}

/** How many segments of messages the sections need. */
export function neededMessages({ sections, replay }: ArchiveOptions): number {
  return sections.includes('recovery') || sections.includes('latency') ? replay : 1;
}

/** How many segments of transactions the sections need. */
export function neededSegments({ sections, backlogs, busyReplay, calls }: ArchiveOptions): number {
  const needs: Readonly<Record<ArchiveSection, number>> = {
    drain: Math.max(...backlogs),
    steady: 1,
    recovery: busyReplay,
    call: calls + 2,
    latency: Math.min(...backlogs),
    memory: Math.min(...backlogs),
  };
  return Math.max(...sections.map((section) => needs[section]));
}

function sectionsOf(words: readonly string[]): readonly ArchiveSection[] {
  const unknown = words.find((word) => !SECTION_NAMES.some((name) => name === word));
  if (unknown !== undefined) throw new Error(`there is no benchmark "${unknown}", but ${SECTION_NAMES.join(', ')}`);
  return words.length === 0 ? SECTION_NAMES : SECTION_NAMES.filter((name) => words.includes(name));
}

function storeKind(word: string): 'files' | 'S3' {
  if (word !== 'files' && word !== 'S3') throw new Error(`--stores are files and S3, not "${word}"`);
  return word;
}

function list(text: string): string[] {
  return text.split(',').filter((word) => word !== '');
}

function number(name: string, text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`--${name} is a whole number from 1 to 9999, not "${text}"`);
  return Number(text);
}
