import type { MetricName } from './metric-table.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Samples by metric. What is not known has none. */
export class MetricSet {
  readonly #samples = new Map<MetricName, Sample[]>();

  /** Does nothing for what is not known. */
  add(name: MetricName, value: number | boolean | null | undefined, labels: Labels = {}): this {
    if (value === null || value === undefined) return this;
    const samples = this.#samples.get(name) ?? [];
    samples.push({ labels, value: Number(value) });
    this.#samples.set(name, samples);
    return this;
  }

  of(name: MetricName): readonly Sample[] {
    return this.#samples.get(name) ?? [];
  }
}
