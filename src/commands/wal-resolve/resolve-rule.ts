/**
 * What may be removed of a name's contents, and whether a conflict is left. Pure.
 *
 * Nothing is removed unless something authentic of that name is known to be left; what is authentic goes only when the operator
 * names it, and only where another authentic content is left. So no call can leave a name worse off than it was.
 */
import type { ContentComparison } from './compare-contents.ts';
import type { Verdict } from './stored-content.ts';

/** What the rule looks at. */
export interface RuledContent {
  repository: { number: number };
  key: string;
  id: string;
  verdict: Verdict;
  head: { sha256: string } | undefined;
  comparison: ContentComparison | undefined;
  current: boolean;
}

export type Decision = { kind: 'keep'; why?: string } | { kind: 'remove' };

export interface RuleInput {
  contents: readonly RuledContent[];
  /** Whether `pg_wal` holds an authentic content, which the server will push again. */
  hasLocal: boolean;
  /** What the operator named. */
  remove: string | undefined;
}

/** In the order of the contents. */
export function decide({ contents, hasLocal, remove }: RuleInput): Decision[] {
  const anyAuthentic = hasLocal || contents.some(({ verdict }) => verdict === 'authentic');
  return contents.map((content) => {
    const named = content.id === remove;
    switch (content.verdict) {
      case 'unknown':
        return named ? { kind: 'keep', why: 'what cannot be judged is not removed' } : { kind: 'keep' };
      case 'marker':
        return named ? { kind: 'remove' } : { kind: 'keep' };
      case 'junk':
        if (named || (remove === undefined && anyAuthentic)) return { kind: 'remove' };
        return remove === undefined
          ? {
              kind: 'keep',
              why: `nothing authentic of this name is known; name it to remove it: --remove ${content.id}`,
            }
          : { kind: 'keep' };
      case 'authentic': {
        if (!named) return { kind: 'keep' };
        const others = contents.some(({ id, verdict }) => verdict === 'authentic' && id !== content.id);
        return hasLocal || others
          ? { kind: 'remove' }
          : { kind: 'keep', why: 'it is the only authentic content of this name that is known' };
      }
    }
  });
}

/** What stands against pushing and reading the name; `undefined`: nothing. `left`: what is there now, the oldest of each key first. */
export function remainingConflict(left: readonly RuledContent[], hasLocal: boolean): string | undefined {
  const truths: RuledContent[] = [];
  for (const [place, versions] of Map.groupBy(left, ({ repository, key }) => `${repository.number} ${key}`)) {
    const truth = versions.find(({ verdict }) => verdict === 'authentic');
    if (truth !== undefined) truths.push(truth);
    // A free name is taken by the next push.
    else if (versions.some(({ current, verdict }) => current && verdict !== 'marker')) {
      return `in repository ${place.slice(0, place.indexOf(' '))} the name is taken by something that is not authentic`;
    }
  }
  const different = truths.find(({ comparison }) => comparison?.kind === 'different');
  const contents = new Set(truths.map(({ head }) => head?.sha256));
  if (different === undefined || (!hasLocal && contents.size === 1)) return undefined;
  const where = hasLocal ? 'pg_wal and ' : 'the first one and ';
  return `${where}repository ${different.repository.number} hold different contents that are both authentic; keep one: --remove ID`;
}
