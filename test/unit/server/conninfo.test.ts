import { describe, expect, it } from 'vitest';
import { parseConnectionString } from '../../../src/server/conninfo.ts';

const read = (text: string): Record<string, string> => Object.fromEntries(parseConnectionString(text));

describe('a connection string', () => {
  it.each<[string, Record<string, string>]>([
    ['', {}],
    ['mydb', { dbname: 'mydb' }],
    ['host=/tmp port=5433', { host: '/tmp', port: '5433' }],
    ['  host = /tmp   port =5433 ', { host: '/tmp', port: '5433' }],
    [`password='it\\'s a \\\\ secret' user=me`, { password: `it's a \\ secret`, user: 'me' }],
    ['user=a\\ b', { user: 'a b' }],
    ["options='-c geqo=off'", { options: '-c geqo=off' }],
    ['password= user=me', { password: 'user=me' }],
    ["password=''", { password: '' }],
    ['user=a user=b', { user: 'b' }],
    ['postgresql://', {}],
    ['postgres://host', { host: 'host' }],
    ['postgresql://host:5433/db', { host: 'host', port: '5433', dbname: 'db' }],
    ['postgresql://me@host', { user: 'me', host: 'host' }],
    ['postgresql://me:a%3Ab%40c@host/db', { user: 'me', password: 'a:b@c', host: 'host', dbname: 'db' }],
    ['postgresql:///db?host=/var/run/postgresql', { dbname: 'db', host: '/var/run/postgresql' }],
    ['postgresql://%2Ftmp/db', { host: '/tmp', dbname: 'db' }],
    ['postgresql://[::1]:5433/db', { host: '::1', port: '5433', dbname: 'db' }],
    ['postgresql://a:1,b:2/db', { host: 'a,b', port: '1,2', dbname: 'db' }],
    ['postgresql://a,b', { host: 'a,b' }],
    [
      'postgresql://h/db?sslmode=require&application_name=my%20app',
      { host: 'h', dbname: 'db', sslmode: 'require', application_name: 'my app' },
    ],
  ])('%j is read as libpq reads it', (text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  it.each([
    ['host=/tmp port', 'character 10'],
    ["password='open", 'character 1'],
    ['=value', 'character 1'],
    ['postgresql://host:port', 'host and port'],
    ['postgresql://%zz@host', 'percent-encoding'],
    ['postgresql://host?novalue', '"key=value"'],
  ])('%j is refused, and not repeated', (text, detail) => {
    const act = (): unknown => parseConnectionString(text);
    expect(act).toThrow(expect.objectContaining({ code: 'usage', detail: expect.stringContaining(detail) as string }));
    expect(act).not.toThrow(expect.objectContaining({ detail: expect.stringContaining('open') as string }));
  });
});
