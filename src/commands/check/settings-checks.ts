import type { ControlFile } from '../../postgres/control-file.ts';
import { item, notChecked, type CheckItem } from './check-item.ts';

/** What the server's settings are asked for; `archive_library` exists from 15 on. */
export const SETTINGS_ASKED: readonly string[] = [
  'archive_mode',
  'archive_library',
  'archive_command',
  'restore_command',
  'wal_level',
  'full_page_writes',
  'data_checksums',
  'data_directory',
];

interface Rule {
  name: string;
  expected: string;
  fits: (value: string) => boolean;
  hint: string;
}

const RULES: readonly Rule[] = [
  {
    name: 'archive_mode',
    expected: 'on or always',
    fits: (value) => value === 'on' || value === 'always',
    hint: 'psql -c "alter system set archive_mode = on", and restart the server: it takes effect with a restart only.',
  },
  {
    name: 'archive_command',
    expected: 'a command that calls walhold-push with %p',
    fits: (value) => /walhold-push\b.*%p/s.test(value),
    hint: `psql -c "alter system set archive_command = 'walhold-push %p'" -c "select pg_reload_conf()", with the whole path of walhold-push.`,
  },
  {
    name: 'wal_level',
    expected: 'replica or logical',
    fits: (value) => value === 'replica' || value === 'logical',
    hint: 'psql -c "alter system set wal_level = replica", and restart the server: with less its WAL cannot be recovered from.',
  },
  {
    name: 'full_page_writes',
    expected: 'on',
    fits: (value) => value === 'on',
    hint: 'psql -c "alter system set full_page_writes = on" -c "select pg_reload_conf()": without it a crash, or a base backup, can leave torn pages that nothing mends.',
  },
  {
    name: 'data_checksums',
    expected: 'on',
    fits: (value) => value === 'on',
    hint: 'Stop the server and run pg_checksums --enable: without checksums damaged pages are backed up unseen.',
  },
];

/** What the server says; what it does not show to this user is not checked. */
export function settingsChecks(settings: ReadonlyMap<string, string>): CheckItem[] {
  const items = RULES.map(({ name, expected, fits, hint }) => {
    const value = settings.get(name);
    if (value !== undefined) return checked(name, value, expected, fits(value), hint);
    return notChecked(
      name,
      'this user may not see it',
      expected,
      'Connect as a superuser or a member of pg_read_all_settings.',
    );
  });
  const library = settings.get('archive_library');
  if (library === undefined || library === '') return items;
  const hint = `psql -c "alter system set archive_library = ''" -c "select pg_reload_conf()": with a library the server never calls archive_command.`;
  return [...items, item('archive_library', false, library, 'empty', hint)];
}

/** What `pg_control` knows of them without a connection. */
export function controlChecks(control: ControlFile): CheckItem[] {
  const known: Readonly<Record<string, string>> = {
    wal_level: control.walLevel,
    full_page_writes: control.fullPageWrites ? 'on' : 'off',
    data_checksums: control.dataChecksumVersion > 0 ? 'on' : 'off',
  };
  return RULES.map(({ name, expected, fits, hint }) => {
    const value = known[name];
    if (value !== undefined) return checked(name, value, expected, fits(value), hint);
    return notChecked(name, 'there is no connection to the server', expected, 'Name the server with -d.');
  });
}

/** Nothing is known of the server at all. */
export function settingsNotChecked(): CheckItem[] {
  return RULES.map(({ name, expected }) =>
    notChecked(name, 'there is no connection to the server', expected, 'Name the server with -d.'),
  );
}

function checked(name: string, value: string, expected: string, ok: boolean, hint: string): CheckItem {
  return item(name, ok, value === '' ? 'empty' : value, expected, ok ? undefined : hint);
}
