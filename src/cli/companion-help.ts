import { flagOf } from '../config/setting-name.ts';
import { MAX_REPOSITORIES, SETTINGS } from '../config/settings.ts';

/** Every command's help ends with it. */
export const exitStatusHelp = `
EXIT STATUS
  0  done
  1  something failed, or a check found a fault
  2  wrong usage or configuration`;

/** For the help of the program itself: the settings that may stand before or after the command. */
export const settingsHelp: string = [
  '',
  'Settings (each also in the configuration file and as WALHOLD_NAME in the environment; see "walhold config"):',
  '  --config <FILE>',
  ...SETTINGS.filter(({ lacking }) => lacking === undefined).map(
    ({ name, help }) => `  ${`${flagOf(name)} <VALUE>`.padEnd(32)}  ${help}`,
  ),
  `Settings of a further repository begin with its name: --repo2-s3-endpoint, up to repo${MAX_REPOSITORIES}.`,
].join('\n');
