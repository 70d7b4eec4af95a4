import { describe, expect, it } from 'vitest';
import { formatExposition, parseExposition } from '../../../../src/commands/metrics/exposition.ts';
import { MetricSet } from '../../../../src/commands/metrics/metric-set.ts';
import { METRIC_NAMES } from '../../../../src/commands/metrics/metric-table.ts';
import { readExposition } from '../../../support/exposition.ts';

const archive = 'file:///a "b"\\c\nd';

describe('the text for Prometheus', () => {
  it('is one that a reader of the format takes, for every metric there is', () => {
    const metrics = new MetricSet();
    for (const [index, name] of METRIC_NAMES.entries()) metrics.add(name, index / 3).add(name, -1, { timeline: '2' });
    const families = readExposition(formatExposition(metrics, { archive }));
    expect([...families.keys()]).toEqual(METRIC_NAMES.map((name) => `walhold_${name}`));
    expect(families.get('walhold_rpo_bytes')?.samples).toEqual([
      { labels: { archive }, value: METRIC_NAMES.indexOf('rpo_bytes') / 3 },
      { labels: { archive, timeline: '2' }, value: -1 },
    ]);
    expect(families.get('walhold_worker_files_total')?.type).toBe('counter');
  });

  it('has nothing of what is not known, and false as 0', () => {
    const metrics = new MetricSet().add('rpo_bytes', null).add('gaps', undefined).add('worker_up', false);
    const families = readExposition(formatExposition(metrics, {}));
    expect([...families.values()].map(({ name, samples }) => [name, samples[0]?.value])).toEqual([
      ['walhold_worker_up', 0],
    ]);
  });

  it('is read back as it was written, of this archive alone', () => {
    const metrics = new MetricSet().add('gaps', 2).add('backups', 1e21, { type: 'full' }).add('last_check_ok', -0.25);
    const text = formatExposition(metrics, { archive });
    expect(formatExposition(parseExposition(text, { archive }), { archive })).toBe(text);
    expect(formatExposition(parseExposition(text, { archive: 'another' }), { archive })).toBe('');
  });

  it('is read without what a newer version may have more', () => {
    const text = '# HELP walhold_more Of it.\n# TYPE walhold_more gauge\nwalhold_more 1\nwalhold_gaps 3\n';
    expect(parseExposition(text, {}).of('gaps')).toEqual([{ labels: {}, value: 3 }]);
  });

  it.each([
    ['another program’s metric', 'node_load1 0.5\n'],
    ['another program’s comment', '# HELP node_load1 Load.\n'],
    ['prose', 'root:x:0:0:root:/root:/bin/bash\n'],
    ['a value that is no number', 'walhold_gaps x\n'],
    ['a value without end', 'walhold_gaps 1e999\n'],
    ['labels that do not end', 'walhold_gaps{archive="a 1\n'],
    ['labels that are none', 'walhold_gaps{a=1} 1\n'],
    ['bytes', '\0\0\0'],
  ])('is not %s', (_, text) => {
    expect(() => parseExposition(text, {})).toThrow(/is no metric of walhold/);
  });
});
