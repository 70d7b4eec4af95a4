// Prints a sample of walhold's own settings file, which README.md shows:
//   scripts/with-node scripts/settings-sample.ts
import { SETTINGS, type Setting } from '../src/config/settings.ts';

const COMMENT_COLUMN = 43;

/** The one that has no default and must be there. */
const EXAMPLE = { name: 'repo', value: 's3://my-bucket/main' } as const;

/** Every setting with its default, commented out as in PostgreSQL's own sample, and what it is for. */
export function settingsSample(): string {
  const supported = SETTINGS.filter(({ lacking }) => lacking === undefined);
  const sections = [
    [
      'Repositories: for a further one each name begins with its own, as repo2_s3_endpoint',
      supported.filter(isOfRepository),
    ],
    ['Everything else', supported.filter((setting) => !isOfRepository(setting))],
    ['Not in this version: known, and refused', SETTINGS.filter(({ lacking }) => lacking !== undefined)],
  ] as const;
  return sections.map(([title, settings]) => [`# - ${title} -`, ...settings.map(lineOf), ''].join('\n')).join('\n');
}

function isOfRepository({ name, perRepository }: Setting): boolean {
  return perRepository === true || name === EXAMPLE.name;
}

function lineOf(setting: Setting): string {
  const example = setting.name === EXAMPLE.name;
  const assignment = `${example ? '' : '#'}${setting.name} = '${example ? EXAMPLE.value : (setting.default ?? '')}'`;
  return `${assignment.padEnd(COMMENT_COLUMN)} # ${setting.help}`;
}

if (import.meta.main) {
  process.stdout.write(settingsSample());
}
