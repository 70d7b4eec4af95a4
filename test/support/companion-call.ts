import { runCompanion } from '../../src/cli/run-companion.ts';

export interface CompanionResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs the companion in this process, with no settings but those given. `print`: in place of gathering what it prints. */
export async function callCompanion(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  print?: (text: string) => void,
): Promise<CompanionResult> {
  let stdout = '';
  let stderr = '';
  const status = await runCompanion({
    argv,
    environment,
    signal: new AbortController().signal,
    workingDirectory: process.cwd(),
    print: print ?? ((text) => (stdout += text)),
    write: (line) => (stderr += line),
  });
  return { status, stdout, stderr };
}

/** The JSON that a command printed. */
export function jsonOf<T>({ stdout }: CompanionResult): T {
  return JSON.parse(stdout) as T;
}
