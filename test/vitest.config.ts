import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

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
  const alone = (ALONE[name] ?? []).map((file) => `test/${name}/${file}.test.ts`);
  const missing = alone.filter((file) => !existsSync(new URL(`../${file}`, import.meta.url)));
  if (missing.length > 0) throw new Error(`files to be run alone that are not there: ${missing.join(', ')}`);
  const limits = { testTimeout: seconds * 1000, hookTimeout: seconds * 1000 };
  const add = (files: { name: string; include: string[]; exclude: string[] }, workers: number): void => {
    const sequence = { groupOrder: projects.length + 1 };
    projects.push({ extends: true, test: { ...files, ...limits, maxWorkers: workers, sequence } });
  };
  add({ name, include: [`test/${name}/**/*.test.ts`], exclude: alone }, maxWorkers);
  if (alone.length > 0) add({ name: `${name}-alone`, include: alone, exclude: [] }, 1);
}

addProject('unit', 20, PROCESSORS);
addProject('contract', 120, WITH_SERVERS);
addProject('cli', 120, WITH_SERVERS);
addProject('postgres', 300, WITH_SERVERS);
addProject('torture', 300, WITH_SERVERS);

const config: ViteUserConfig = defineConfig({ root, test: { projects } });

export default config;
