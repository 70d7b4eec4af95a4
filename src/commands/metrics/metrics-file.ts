/**
 * `metrics_file`: what a Prometheus node_exporter reads. It is replaced as a whole, so nobody ever reads half of it. It is also where a run
 * of `check`, `verify` and `expire` is remembered, since those may have no right to store anything anywhere.
 */
import { open } from 'node:fs/promises';
import { replaceDurably } from '../../base/durable.ts';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import type { CommandContext } from '../command-context.ts';
import { formatExposition, parseExposition } from './exposition.ts';
import { MetricSet, type Labels } from './metric-set.ts';
import { METRIC_NAMES, metricOf, type MetricSource } from './metric-table.ts';

/** What a look at the status finds out. */
export const STATUS_SOURCES: readonly MetricSource[] = ['status', 'drill', 'proof'];

type Context = Pick<CommandContext, 'config' | 'log' | 'asOf'>;

/** Anybody may look: there are no secrets in it, and the exporter is another user. */
const MODE = 0o644;
/** Larger ones are not ours. */
const MOST_BYTES = 1024 * 1024;

/**
 * Puts what `sources` have found out into the file, in the place of all that they had said before; what others said stays. Does nothing
 * without the setting, and with `--as-of`: the past is no news. `false`: it could not be written, which is a warning and nothing worse,
 * since the work itself was done.
 *
 * Of two that end in the same moment one may lose what the other has just written, until that one's next run.
 */
export async function saveMetrics(
  context: Context,
  metrics: MetricSet,
  sources: readonly MetricSource[],
): Promise<boolean> {
  const { config, log, asOf } = context;
  const { metricsFile } = config;
  if (metricsFile === undefined || asOf !== undefined) return true;
  try {
    const all = merged(await readMetrics(metricsFile, labelsOf(context)), metrics, sources);
    const text = formatExposition(all, labelsOf(context));
    await replaceDurably(metricsFile, text, MODE).catch((error: unknown) => {
      throw ioError(`could not write metrics_file ${metricsFile}`, error);
    });
    return true;
  } catch (error) {
    if (!(error instanceof WalholdError)) throw error;
    log.warning(error.message, { detail: error.detail, hint: error.hint });
    return false;
  }
}

/** The same as a text, with what is remembered in the file, where there is one that can be read. */
export async function metricsText(
  context: Context,
  metrics: MetricSet,
  sources: readonly MetricSource[],
): Promise<string> {
  const { metricsFile } = context.config;
  const labels = labelsOf(context);
  const before = metricsFile === undefined ? new MetricSet() : await readMetrics(metricsFile, labels).catch(nothing);
  return formatExposition(merged(before, metrics, sources), labels);
}

function labelsOf({ config }: Pick<CommandContext, 'config'>): Labels {
  return { archive: config.effective.find(({ name }) => name === 'repo')?.value ?? '' };
}

function merged(before: MetricSet, now: MetricSet, sources: readonly MetricSource[]): MetricSet {
  const all = new MetricSet();
  for (const name of METRIC_NAMES) {
    const from = sources.includes(metricOf(name).of) ? now : before;
    for (const { labels, value } of from.of(name)) all.add(name, value, labels);
  }
  return all;
}

/** Nothing, where there is no file. Throws `refused` for a file of somebody else, and `io`. */
async function readMetrics(path: string, labels: Labels): Promise<MetricSet> {
  const text = await readText(path);
  try {
    return parseExposition(text, labels);
  } catch (error) {
    if (!(error instanceof WalholdError)) throw error;
    throw refused(path, error.message);
  }
}

async function readText(path: string): Promise<string> {
  try {
    await using handle = await open(path, 'r');
    const found = await handle.stat();
    if (!found.isFile()) throw refused(path, 'it is no ordinary file');
    if (found.size > MOST_BYTES) throw refused(path, `it is ${found.size} bytes long`);
    return await handle.readFile('utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw ioError(`could not read metrics_file ${path}`, error);
  }
}

function refused(path: string, detail: string): WalholdError {
  return new WalholdError('refused', `metrics_file ${path} was not written by walhold, and is not replaced`, {
    detail,
    hint: 'Name a file of its own in metrics_file, or remove this one.',
  });
}

function nothing(): MetricSet {
  return new MetricSet();
}
