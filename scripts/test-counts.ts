import { readFile, rm } from 'node:fs/promises';

/** Tests by outcome. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0 };

export function sum(one: Counts, other: Counts): Counts {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
  };
}

/** The parts of vitest's JSON report that count. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
}

/**
 * What a run of vitest counted, from its JSON report, which is removed. A run that failed without a failed test (a file that
 * does not load, an error outside of tests) or left no report counts as one failure, so that it can never add up to success.
 */
export async function readCounts(reportFile: string, ok: boolean): Promise<Counts> {
  const text = await readFile(reportFile, 'utf8').catch(() => undefined);
  await rm(reportFile, { force: true });
  if (text === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const report = JSON.parse(text) as Report;
  const failed = report.numFailedTests === 0 && !ok ? 1 : report.numFailedTests;
  return { passed: report.numPassedTests, failed, skipped: report.numPendingTests + report.numTodoTests };
}
