import { hasCode } from '../../base/errors.ts';
import type { DrillCheck } from '../../repository/drill-record.ts';
import type { ServerSession, StatementAnswer } from '../../server/session.ts';

const LONGEST_VALUE = 200;

/** Runs a text whose statements must return true: one check for each that returns anything. */
export async function checkSql(session: ServerSession, sql: string): Promise<DrillCheck[]> {
  let answers: StatementAnswer[];
  try {
    answers = await session.script('run the statements of --sql', sql);
  } catch (error) {
    session.lost.throwIfAborted();
    if (!hasCode(error, 'server')) throw error;
    return [{ name: 'sql', ok: false, detail: error.detail ?? error.message }];
  }
  return judgeAnswers(answers);
}

/**
 * Every row of every statement must have true in its first column, and there must be one. What gives no rows (`set`, `create`) counts as
 * preparation; a text of nothing else proves nothing. Pure.
 */
export function judgeAnswers(answers: readonly StatementAnswer[]): DrillCheck[] {
  const checks = answers.flatMap((answer, index) => (answer.columns === 0 ? [] : [judge(answer, index + 1)]));
  if (checks.length > 0) return checks;
  return [{ name: 'sql', ok: false, detail: 'no statement returned anything, so nothing was checked' }];
}

function judge({ rows }: StatementAnswer, number: number): DrillCheck {
  const name = `sql ${number}`;
  if (rows.length === 0) return { name, ok: false, detail: `statement ${number} returned no row` };
  const wrong = rows.find(([first]) => first !== true);
  if (wrong === undefined) return { name, ok: true, detail: `statement ${number} returned true` };
  return { name, ok: false, detail: `statement ${number} returned ${shown(wrong[0])} and not true` };
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, LONGEST_VALUE);
}
