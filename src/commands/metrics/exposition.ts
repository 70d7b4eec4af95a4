/** Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { WalholdError } from '../../base/errors.ts';
import { MetricSet, type Labels } from './metric-set.ts';
import { isMetricName, METRIC_NAMES, metricOf, PREFIX } from './metric-table.ts';

/** `common`: labels that every sample bears. */
export function formatExposition(metrics: MetricSet, common: Labels): string {
  const lines = METRIC_NAMES.flatMap((name) => {
    const samples = metrics.of(name);
    if (samples.length === 0) return [];
    const { help, type } = metricOf(name);
    const full = `${PREFIX}${name}`;
    const values = samples.map(({ labels, value }) => `${full}${formatLabels({ ...common, ...labels })} ${value}`);
    return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...values];
  });
  return lines.map((line) => `${line}\n`).join('');
}

/**
 * What {@link formatExposition} has written. Samples with other labels than `common` are passed over, and so are metrics that there are no
 * more. Throws `bad-format` for a text that it has not written.
 */
export function parseExposition(text: string, common: Labels): MetricSet {
  const metrics = new MetricSet();
  for (const line of text.split('\n')) {
    if (line === '' || COMMENT.test(line)) continue;
    const [, name = '', inner = '', number = ''] = SAMPLE.exec(line) ?? [];
    const labels = name === '' ? undefined : parseLabels(inner);
    const value = Number(number);
    if (labels === undefined || number === '' || !Number.isFinite(value)) {
      throw new WalholdError('bad-format', `"${line.slice(0, 80)}" is no metric of walhold`);
    }
    const own = Object.entries(labels).filter(([key]) => common[key] === undefined);
    if (!Object.entries(common).every(([key, wanted]) => labels[key] === wanted) || !isMetricName(name)) continue;
    metrics.add(name, value, Object.fromEntries(own));
  }
  return metrics;
}

const COMMENT = /^# (?:HELP|TYPE) walhold_/;
const SAMPLE = /^walhold_([a-z_]{1,100})(?:\{(.{0,4000})\})? (-?[0-9.e+-]{1,30})$/;
const LABEL = /([a-z_]{1,40})="((?:[^"\\]|\\[\\"n]){0,3000})"(?:,|$)/y;

function formatLabels(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function parseLabels(text: string): Labels | undefined {
  const found: [string, string][] = [];
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name, value] = LABEL.exec(text) ?? [];
    if (name === undefined || value === undefined) return undefined;
    found.push([name, value.replaceAll(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one))]);
  }
  return Object.fromEntries(found);
}

function escape(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
