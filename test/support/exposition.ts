/** Prometheus' text format, read strictly and without a look at how walhold writes it. */
export interface Family {
  name: string;
  help: string;
  type: string;
  samples: { labels: Record<string, string>; value: number }[];
}

/** @throws at the first line that breaks the format or the conventions for names. */
export function readExposition(text: string): Map<string, Family> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  let open: Family | undefined;
  const seen = new Set<string>();
  for (const line of text.split('\n').slice(0, -1)) {
    const [, comment, name = '', rest = ''] = /^# (HELP|TYPE) ([a-z_:][a-z0-9_:]*) (.+)$/.exec(line) ?? [];
    if (comment === 'HELP') {
      if (families.has(name)) throw new Error(`${name} comes twice`);
      open = { name, help: rest, type: '', samples: [] };
      families.set(name, open);
    } else if (comment === 'TYPE') {
      if (open?.name !== name || open.type !== '') throw new Error(`TYPE of ${name} does not follow its HELP`);
      if (!['gauge', 'counter'].includes(rest)) throw new Error(`${name} is a ${rest}`);
      if ((rest === 'counter') !== name.endsWith('_total')) throw new Error(`_total is for counters: ${name}`);
      open.type = rest;
    } else {
      const [, own = '', labels = '', value = ''] = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (own === '' || own !== open?.name || open.type === '') throw new Error(`a sample out of place: ${line}`);
      if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(value)) throw new Error(`no number: ${line}`);
      const key = `${own}{${labels}}`;
      if (seen.has(key)) throw new Error(`${key} comes twice`);
      seen.add(key);
      open.samples.push({ labels: labelsOf(labels), value: Number(value) });
    }
  }
  for (const { name, samples, type } of families.values()) {
    if (type === '' || samples.length === 0) throw new Error(`${name} has no type or no sample`);
    if (/_(ms|millis|minutes|hours|days|kb|mb|kilobytes|lsn)(_|$)/.test(name)) throw new Error(`no base unit: ${name}`);
  }
  return families;
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const found = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,(?=.)|$)/.exec(rest);
    if (found === null) throw new Error(`bad labels: ${text}`);
    const [all, name = '', value = ''] = found;
    if (name.startsWith('__') || name in labels) throw new Error(`bad label: ${name}`);
    labels[name] = value.replaceAll(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one));
    rest = rest.slice(all.length);
  }
  return labels;
}
