import { describe, expect, it } from 'vitest';
import { decide, remainingConflict, type RuledContent } from '../../../../src/commands/wal-resolve/resolve-rule.ts';

/** `1:a=A` is version `a` in repository 1, authentic, with content A; `1:a~A` the same, different from the reference; `!` junk, `?` unknown, `x` a marker. */
function contents(text: string): RuledContent[] {
  const all = text.split(' ').filter((one) => one !== '');
  return all.map((one, at) => {
    const [, number = '', id = '', sign = '', sha256 = ''] = /^(\d):(\w+)([=~!?x])(\w*)$/.exec(one) ?? [];
    const verdict = ({ '=': 'authentic', '~': 'authentic', '!': 'junk', '?': 'unknown', x: 'marker' } as const)[sign];
    if (verdict === undefined) throw new Error(one);
    const comparison =
      verdict === 'authentic'
        ? {
            kind: sign === '=' ? ('identical' as const) : ('different' as const),
            firstDifference: null,
            recordLsn: null,
            reason: null,
          }
        : undefined;
    const current = all.findLastIndex((other) => other.startsWith(`${number}:`)) === at;
    const head = sha256 === '' ? undefined : { sha256 };
    return { repository: { number: Number(number) }, key: 'k', id, verdict, head, comparison, current };
  });
}

const removed = (text: string, options: { local?: boolean; remove?: string } = {}): string[] => {
  const all = contents(text);
  const decisions = decide({ contents: all, hasLocal: options.local === true, remove: options.remove });
  return all.filter((_, at) => decisions[at]?.kind === 'remove').map(({ id }) => id);
};

describe('what may be removed', () => {
  it.each<[what: string, stored: string, options: { local?: boolean; remove?: string }, gone: string[]]>([
    ['junk, where the server has the file', '1:a!', { local: true }, ['a']],
    ['junk before what is authentic', '1:a! 1:b=A', {}, ['a']],
    ['junk after what is authentic', '1:a=A 1:b!', {}, ['b']],
    ['junk, where another repository has the file', '1:a! 2:b=A', {}, ['a']],
    ['nothing, where nothing authentic is known', '1:a! 1:b!', {}, []],
    ['junk that is named, though nothing authentic is known', '1:a! 1:b!', { remove: 'a' }, ['a']],
    ['nothing else than what is named', '1:a! 1:b=A 1:c!', { remove: 'c' }, ['c']],
    ['nothing authentic by itself', '1:a=A 1:b~B', {}, []],
    ['nothing authentic by itself, whatever the server has', '1:a~B', { local: true }, []],
    ['what is authentic and named, where the server has another', '1:a~B', { local: true, remove: 'a' }, ['a']],
    ['what is authentic and named, where another version is too', '1:a=A 1:b~B', { remove: 'a' }, ['a']],
    ['what is authentic and named, where another repository has another', '1:a=A 2:b~B', { remove: 'b' }, ['b']],
    ['nothing authentic that is the only one', '1:a=A', { remove: 'a' }, []],
    ['nothing authentic of which all that is left is itself', '1:a=A 2:a=A', { remove: 'a' }, []],
    ['nothing authentic of which only junk would be left', '1:a=A 1:b! 1:c?', { remove: 'a' }, []],
    ['nothing that cannot be judged', '1:a? 1:b=A', {}, []],
    ['nothing that cannot be judged, named or not', '1:a? 1:b=A', { remove: 'a' }, []],
    ['no marker by itself', '1:a=A 1:b! 1:cx', {}, ['b']],
    ['a marker that is named', '1:a=A 1:cx', { remove: 'c' }, ['c']],
  ])('is %s', (_, stored, options, gone) => {
    expect(removed(stored, options)).toEqual(gone);
  });
});

describe('a conflict', () => {
  it.each<[what: string, left: string, local: boolean, conflict: RegExp | undefined]>([
    ['is none where nothing is stored', '', true, undefined],
    ['is none where all contents are one', '1:a=A 2:b=A', true, undefined],
    ['is none where a later version of a name differs', '1:a=A 1:b~B', true, undefined],
    ['is none where junk lies before the truth, which readers pass over', '1:a! 1:b=A', true, undefined],
    ['is none where a marker frees a name that junk took', '1:a! 1:bx', true, undefined],
    ['is where junk holds the name', '1:a=A 2:b!', true, /in repository 2 the name is taken/],
    ['is where what cannot be judged holds the name', '1:a?', false, /in repository 1 the name is taken/],
    ['is where the server has other content', '1:a~B', true, /pg_wal and repository 1/],
    ['is where two repositories hold different contents', '1:a=A 2:b~B', false, /the first one and repository 2/],
    ['is none where what all were held against is gone', '1:b~B 2:c~B', false, undefined],
  ])('%s', (_, left, local, conflict) => {
    const found = remainingConflict(contents(left), local);
    if (conflict === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(conflict);
  });
});
