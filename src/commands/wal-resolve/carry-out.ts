import { hasCode } from '../../base/errors.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions, RemovingStore } from '../../store/store.ts';
import type { Decision } from './resolve-rule.ts';
import type { StoredContent } from './stored-content.ts';

/**
 * What became of one content. `hidden`: it stays, behind a delete marker that frees its name. `denied`: it should go, and stays.
 */
export interface Outcome {
  content: StoredContent;
  action: 'kept' | 'removed' | 'hidden' | 'denied' | 'would-remove';
  note: string | undefined;
}

export interface CarryOutOptions extends CallOptions {
  openRemover: (repository: Repository) => Promise<RemovingStore>;
  /** Says what would be done. */
  dryRun: boolean;
}

/** In the order given. Throws what a store says when it does not answer. */
export async function carryOut(
  decisions: readonly { content: StoredContent; decision: Decision }[],
  options: CarryOutOptions,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const [repository, ours] of Map.groupBy(decisions, ({ content }) => content.repository)) {
    const removing = ours.some(({ decision }) => decision.kind === 'remove') && !options.dryRun;
    const remover = removing ? await options.openRemover(repository) : undefined;
    try {
      for (const { content, decision } of ours) {
        if (decision.kind === 'keep') outcomes.push({ content, action: 'kept', note: decision.why });
        else if (remover === undefined) outcomes.push({ content, action: 'would-remove', note: undefined });
        else outcomes.push(await remove(content, remover, { ...options, others: ours.map((one) => one.content) }));
      }
    } finally {
      await remover?.close();
    }
  }
  return outcomes;
}

async function remove(
  content: StoredContent,
  remover: RemovingStore,
  { signal, others }: CallOptions & { others: readonly StoredContent[] },
): Promise<Outcome> {
  if (!(await isUnchanged(content, { signal }))) {
    return { content, action: 'denied', note: 'another object lies there by now: look again' };
  }
  try {
    await remover.remove(content.key, { signal, version: content.version });
    return { content, action: 'removed', note: undefined };
  } catch (error) {
    if (!hasCode(error, 'denied')) throw error;
    const why = denialOf(content, error.detail ?? error.message);
    const blocks =
      content.current && !others.some(({ key, verdict }) => key === content.key && verdict === 'authentic');
    if (!blocks) return { content, action: 'denied', note: why };
    if (remover.hide === undefined) return { content, action: 'denied', note: why };
    return await hide(content, remover.hide.bind(remover), { signal, why });
  }
}

/** A version stays what it is; a name without versions may hold something else than what was judged. */
async function isUnchanged({ repository, key, version, tag }: StoredContent, options: CallOptions): Promise<boolean> {
  if (version !== undefined) return true;
  const info = await repository.store.stat(key, options);
  return info === undefined || info.tag === tag;
}

/** The name can be pushed again; readers pass over what is not authentic. */
async function hide(
  content: StoredContent,
  hideName: NonNullable<RemovingStore['hide']>,
  { signal, why }: CallOptions & { why: string },
): Promise<Outcome> {
  try {
    await hideName(content.key, { signal });
    return {
      content,
      action: 'hidden',
      note: `${why}; a delete marker frees the name, and readers pass over what it hides`,
    };
  } catch (error) {
    if (!hasCode(error, 'denied')) throw error;
    return { content, action: 'denied', note: why };
  }
}

function denialOf({ protection }: StoredContent, said: string): string {
  const { retention, hold = false } = protection ?? {};
  if (retention !== undefined) return `it is locked until ${retention.until.toISOString()} (${retention.mode})`;
  return hold ? 'a legal hold is on it' : `it could not be removed: ${said}`;
}
