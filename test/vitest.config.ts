import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Vitest leaves one processor free, which is half of a small machine. */
const PROCESSORS = availableParallelism();

/** The files of these start servers, which work beside them. */
const WITH_SERVERS = Math.min(2, PROCESSORS);

/**
 * Files that expect something within seconds or bytes, or look for processes that live for moments: they run one at a time, after the
 * others of their project, as the project `NAME-alone`. scripts/test counts it to the project.
 */
const ALONE: Readonly<Record<string, readonly string[]>> = {
  contract: ['s3-outages'],
  cli: [
    'accidents',
    'fetch-answers',
    'many-files',
    'outages',
    'push-answers',
    'report-page',
    'worker',
    'worker-spool',
    'worker-truth',
  ],
  postgres: ['outage', 'worker', 'worker-outage'],
  torture: ['kills', 'year-of-locks', 'year-of-seals'],
};

/**
 * The longest files, in this order before the others of their project: one that came last would leave its lane to run alone. Vitest by
 * itself goes by the sizes of the files where it has no times of an earlier run.
 */
const LONGEST: Readonly<Record<string, readonly string[]>> = {
  cli: ['install', 'demo', 'fetch'],
  postgres: ['incremental', 'restore', 'majors', 'resume', 'resume-incremental', 'drill', 'restore-chain'],
  torture: ['launcher-truncation', 'histories', 'worker'],
};

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const order = Object.entries(LONGEST).flatMap(pathsOf);
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = order.findIndex((path) => moduleId.endsWith(`/${path}`));
      return at === -1 ? order.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

interface Project {
  extends: true;
  test: {
    name: string;
    include: string[];
    exclude: string[];
    testTimeout: number;
    hookTimeout: number;
    maxWorkers: number;
    sequence: { groupOrder: number };
  };
}

/** The groups run in the order of their projects, and only one at a time. */
const projects: Project[] = [];

function addProject(name: string, seconds: number, maxWorkers: number): void {
  const alone = pathsOf([name, ALONE[name] ?? []]);
  const named = [...alone, ...pathsOf([name, LONGEST[name] ?? []])];
  const missing = named.filter((file) => !existsSync(new URL(`../${file}`, import.meta.url)));
  if (missing.length > 0) throw new Error(`test files that are named here and not there: ${missing.join(', ')}`);
  const limits = { testTimeout: seconds * 1000, hookTimeout: seconds * 1000 };
  const add = (files: { name: string; include: string[]; exclude: string[] }, workers: number): void => {
    const sequence = { groupOrder: projects.length + 1 };
    projects.push({ extends: true, test: { ...files, ...limits, maxWorkers: workers, sequence } });
  };
  add({ name, include: [`test/${name}/**/*.test.ts`], exclude: alone }, maxWorkers);
  if (alone.length > 0) add({ name: `${name}-alone`, include: alone, exclude: [] }, 1);
}

function pathsOf([name, files]: readonly [string, readonly string[]]): string[] {
  return files.map((file) => `test/${name}/${file}.test.ts`);
}

addProject('unit', 20, PROCESSORS);
addProject('contract', 120, WITH_SERVERS);
addProject('cli', 120, WITH_SERVERS);
addProject('postgres', 300, WITH_SERVERS);
addProject('torture', 300, WITH_SERVERS);

const config: ViteUserConfig = defineConfig({
  root,
  test: { projects, sequence: { sequencer: LongestFirst } },
});

export default config;
