import type { Log } from '../base/log.ts';
import type { Repository } from '../repository/repository.ts';
import { describeTrace, tracesOf } from '../repository/traces.ts';

/** So many are named; the rest is counted. */
const MOST_NAMED = 5;

/** One line for all that somebody else left and this call met. Nothing of it was believed, so the call goes on. */
export function warnOfTraces(
  log: Log,
  repositories: readonly Pick<Repository, 'number' | 'url' | 'strangers'>[],
): void {
  const found = repositories.flatMap((repository) =>
    tracesOf(repository).map((trace) => `${repository.url}/${trace.object}: ${describeTrace(trace)}`),
  );
  if (found.length === 0) return;
  const more = found.length > MOST_NAMED ? [`and ${found.length - MOST_NAMED} more`] : [];
  const count = found.length === 1 ? 'a trace' : `${found.length} traces`;
  log.warning(`${count} of somebody else who writes into the repository, or deletes there`, {
    detail: [...found.slice(0, MOST_NAMED), ...more].join('; '),
    hint: 'What walhold stored first was read; "walhold verify" names all traces. See whose credentials were used.',
  });
}
