import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { METRIC_NAMES } from '../../src/commands/metrics/metric-table.ts';

const PRINTED = new Set(METRIC_NAMES.map((name) => `walhold_${name}`));

const read = (name: string): string => readFileSync(join(ROOT, 'scripts/monitoring', name), 'utf8');

/** Names of walhold's metrics in an expression, each with its prefix. */
function namesIn(expression: string): string[] {
  return expression.match(/\bwalhold_\w+/g) ?? [];
}

describe('alerts.yml', () => {
  const alerts = read('alerts.yml')
    .split(/^ {6}- alert: /m)
    .slice(1);

  it.each(alerts.map((text) => [text.split('\n')[0] ?? '', text]))(
    '%s is whole, of metrics that are printed',
    (_, text) => {
      const [, expression = ''] = /^ {8}expr: (.+)$/m.exec(text) ?? [];
      expect(namesIn(expression).length).toBeGreaterThan(0);
      expect(namesIn(expression).filter((name) => !PRINTED.has(name))).toEqual([]);
      expect(text).toMatch(/^ {8}labels: \{ severity: (warning|critical) \}$/m);
      expect(text).toMatch(/^ {10}summary: '.*\{\{ \$labels\.archive \}\}.*'$/m);
      expect(text.match(/^ {8}(\w+):/gm)?.filter((key) => !/ (expr|for|labels|annotations):$/.test(key))).toEqual([]);
    },
  );

  it('has each name once', () => {
    const names = alerts.map((text) => text.split('\n')[0]);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(10);
  });
});

interface Panel {
  id: number;
  title: string;
  type: string;
  gridPos: { h: number; w: number; x: number; y: number };
  targets: { refId: string; expr: string }[];
}

describe('dashboard.json', () => {
  const { panels, templating, uid } = JSON.parse(read('dashboard.json')) as {
    panels: Panel[];
    templating: { list: { name: string }[] };
    uid: string;
  };
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

  it('asks for metrics that are printed, of the archives that were chosen', () => {
    expect(uid).toBe('walhold');
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'archive']);
    expect(expressions.flatMap(namesIn).filter((name) => !PRINTED.has(name))).toEqual([]);
    for (const expression of expressions) {
      const chosen = expression.match(/\bwalhold_\w+\{archive=~"\$archive"\}/g) ?? [];
      expect(chosen, expression).toHaveLength(namesIn(expression).length);
    }
  });

  it('shows every metric but those that only name or time the rest', () => {
    const shown = new Set(expressions.flatMap(namesIn));
    expect([...PRINTED].filter((name) => !shown.has(name))).toEqual([
      'walhold_build_info',
      'walhold_last_verify_read_ratio',
    ]);
  });

  it('has panels that do not lie over one another', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { gridPos, title } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x} ${y}`), title).toBe(false);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });
});
