import { parseArgs } from 'node:util';
import {
  commaList,
  RUN_OPTIONS,
  runOptions,
  sectionsNamed,
  text,
  wholeNumber,
  type RunOptions,
} from '../option-values.ts';

const SECTION_NAMES = ['drain', 'steady', 'recovery', 'call', 'latency', 'memory'] as const;

export type ArchiveSection = (typeof SECTION_NAMES)[number];

export interface ArchiveOptions extends RunOptions {
  /** In the order in which they run. */
  sections: readonly ArchiveSection[];
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
  /** Where the WAL is kept for the next run. */
  wal: string | undefined;
}

/** @throws for words that are no sections or options, and values that are none. */
export function archiveOptions(words: readonly string[]): ArchiveOptions {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      ...RUN_OPTIONS,
      scale: text('60'),
      backlogs: text('60,500'),
      replay: text('200'),
      'busy-replay': text('40'),
      seconds: text('60'),
      calls: text('30'),
      latencies: text('20,80'),
      stores: text('files,S3'),
      wal: { type: 'string' },
    },
  });
  return {
    sections: sectionsNamed(positionals, SECTION_NAMES),
    ...runOptions(values),
    scale: wholeNumber('scale', values.scale),
    backlogs: commaList(values.backlogs).map((one) => wholeNumber('backlogs', one)),
    replay: wholeNumber('replay', values.replay),
    busyReplay: wholeNumber('busy-replay', values['busy-replay']),
    seconds: wholeNumber('seconds', values.seconds),
    calls: wholeNumber('calls', values.calls),
    latencies: commaList(values.latencies).map((one) => wholeNumber('latencies', one)),
    stores: commaList(values.stores).map(storeKind),
    wal: values.wal,
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
