import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { commaList, sectionsNamed, wholeNumber } from '../option-values.ts';

const SECTION_NAMES = ['drain', 'steady', 'recovery', 'call', 'latency', 'memory'] as const;

export type ArchiveSection = (typeof SECTION_NAMES)[number];

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
    sections: sectionsNamed(positionals, SECTION_NAMES),
    rounds: wholeNumber('rounds', values.rounds),
    scale: wholeNumber('scale', values.scale),
    backlogs: commaList(values.backlogs).map((one) => wholeNumber('backlogs', one)),
    replay: wholeNumber('replay', values.replay),
    busyReplay: wholeNumber('busy-replay', values['busy-replay']),
    seconds: wholeNumber('seconds', values.seconds),
    calls: wholeNumber('calls', values.calls),
    latencies: commaList(values.latencies).map((one) => wholeNumber('latencies', one)),
    stores: commaList(values.stores).map(storeKind),
    only: commaList(values.only),
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

function storeKind(word: string): 'files' | 'S3' {
  if (word !== 'files' && word !== 'S3') throw new Error(`--stores are files and S3, not "${word}"`);
  return word;
}
