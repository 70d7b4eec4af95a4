import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The slow projects run one file at a time: they share two cores with the servers they start. */
const project = (
  name: string,
  seconds: number,
  parallel: boolean,
): {
  extends: true;
  test: { name: string; include: string[]; testTimeout: number; hookTimeout: number; fileParallelism: boolean };
} => ({
  extends: true,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: seconds * 1000,
    hookTimeout: seconds * 1000,
    fileParallelism: parallel,
  },
});

const config: ViteUserConfig = defineConfig({
  root,
  test: {
    projects: [
      project('unit', 20, true),
      project('contract', 120, false),
      project('cli', 120, false),
      project('postgres', 300, false),
      project('torture', 300, false),
    ],
  },
});

export default config;
