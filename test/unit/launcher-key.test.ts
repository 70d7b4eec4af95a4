import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { LAUNCHERS, withKey } from '../../scripts/launcher-key.ts';

describe('the launchers', () => {
  it.each(LAUNCHERS)('%s asks for every setting that there is, and names this version', (program) => {
    const launcher = readFileSync(join(ROOT, 'bin', program), 'utf8');
    // Written by scripts/launcher-key.ts.
    expect(launcher).toBe(withKey(program, launcher));
  });
});
