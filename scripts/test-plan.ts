/** A program to run before the tests. */
export interface Check {
  name: string;
  argv: readonly string[];
  limitSeconds: number;
}

/** A vitest project, and which of its files (parts of their paths); none means all. */
export interface Project {
  name: string;
  files: readonly string[];
  limitSeconds: number;
}

export interface Plan {
  checks: readonly Check[];
  projects: readonly Project[];
  /** For the tests. */
  env: Record<string, string>;
}

const MINUTE = 60;

/** How long each project may take in CI, in seconds; CI as a whole has 90 minutes. */
const PROJECT_LIMITS: Readonly<Record<string, number>> = {
  unit: 8 * MINUTE,
  contract: 8 * MINUTE,
  cli: 15 * MINUTE,
  postgres: 50 * MINUTE,
  torture: 20 * MINUTE,
};

/** The full sizes may take this many times as long. */
const LONG_FACTOR = 12;

const BUILD: Check = { name: 'build', argv: node('scripts/build.ts'), limitSeconds: 2 * MINUTE };

// The first run compiles them.
const SERVERS: Check = { name: 'servers', argv: node('scripts/test-servers.ts'), limitSeconds: 25 * MINUTE };

// The first run unpacks it.
const BROWSER: Check = { name: 'browser', argv: node('scripts/chromium.ts'), limitSeconds: 10 * MINUTE };

const STATIC_CHECKS: readonly Check[] = [
  { name: 'types', argv: bin('tsc', '--noEmit'), limitSeconds: 2 * MINUTE },
  {
    name: 'lint',
    argv: bin('oxlint', '-c', '.oxlintrc.json', '--type-aware', '--deny-warnings'),
    limitSeconds: 2 * MINUTE,
  },
  { name: 'format', argv: bin('prettier', '--check', '--log-level', 'warn', '.'), limitSeconds: 2 * MINUTE },
];

/** What `scripts/test` does for these words. */
export function planOf(words: readonly string[]): Plan {
  const [first] = words;
  if (first === 'quick') {
    const withoutServers = {
      name: 'contract',
      files: ['test/contract/file', 'test/contract/s3-fake', 'test/contract/gcs-fake'],
      limitSeconds: MINUTE,
    };
    return { checks: [BUILD, ...STATIC_CHECKS], projects: [projectOf('unit'), withoutServers], env: {} };
  }
  if (first === undefined || first === 'ci' || first === 'long') {
    const long = first === 'long';
    return {
      checks: [BUILD, ...STATIC_CHECKS, SERVERS, BROWSER],
      projects: Object.keys(PROJECT_LIMITS).map((name) => projectOf(name, [], long ? LONG_FACTOR : 1)),
      env: long ? { WALHOLD_TEST_LONG: '1' } : {},
    };
  }
  return { checks: [BUILD, SERVERS], projects: projectsNamed(words), env: {} };
}

/** Words are names of projects or paths of test files, which name their project by their folder. */
function projectsNamed(words: readonly string[]): Project[] {
  const files = new Map<string, string[]>();
  for (const word of words) {
    const name = /^(?:\.\/)?test\/([^/]+)\/./.exec(word)?.[1] ?? word;
    if (PROJECT_LIMITS[name] === undefined) {
      throw new Error(
        `there is no project ${name}: say quick, ci, long, ${Object.keys(PROJECT_LIMITS).join(', ')} or a test file`,
      );
    }
    files.set(name, [...(files.get(name) ?? []), ...(word === name ? [] : [word])]);
  }
  return [...files].map(([name, paths]) => projectOf(name, paths));
}

function projectOf(name: string, files: readonly string[] = [], factor = 1): Project {
  return { name, files, limitSeconds: (PROJECT_LIMITS[name] ?? MINUTE) * factor };
}

function node(script: string): string[] {
  return [process.execPath, script];
}

/** A program that a package brings; run by the runtime at hand, whatever `node` the PATH has. */
function bin(name: string, ...args: string[]): string[] {
  return [process.execPath, `node_modules/.bin/${name}`, ...args];
}
