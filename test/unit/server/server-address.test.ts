import { describe, expect, it } from 'vitest';
import { serverAddress, type AddressInput, type ServerAddress } from '../../../src/server/server-address.ts';

const address = (
  connectionString: string | undefined,
  environment: AddressInput['environment'] = {},
  files: readonly string[] = [],
): ServerAddress => serverAddress({ connectionString, environment, exists: (path) => files.includes(path) });

describe('where a server is', () => {
  it('is a local socket, in the first directory that has one', () => {
    expect(address(undefined).places).toEqual([{ host: '/var/run/postgresql', port: 5432 }]);
    expect(address(undefined, {}, ['/tmp/.s.PGSQL.5432']).places).toEqual([{ host: '/tmp', port: 5432 }]);
    expect(address('port=5433', {}, ['/tmp/.s.PGSQL.5432']).places).toEqual([
      { host: '/var/run/postgresql', port: 5433 },
    ]);
  });

  it('is what the connection string says, else the environment', () => {
    const environment = { PGHOST: 'env', PGPORT: '1', PGUSER: 'envuser', PGDATABASE: 'envdb', PGPASSWORD: 'envpw' };
    expect(address('host=h user=u', environment)).toMatchObject({
      places: [{ host: 'h', port: 1 }],
      user: 'u',
      database: 'envdb',
      password: 'envpw',
    });
    expect(address(undefined, environment)).toMatchObject({ places: [{ host: 'env', port: 1 }], user: 'envuser' });
  });

  it('counts an empty value as none', () => {
    expect(address("host='' user=u", { PGHOST: '', PGPORT: '' })).toMatchObject({
      places: [{ host: '/var/run/postgresql', port: 5432 }],
      database: 'postgres',
    });
  });

  it('can be several places, each with its port or all with one', () => {
    expect(address('host=a,b port=1,2').places).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    expect(address('host=a,b port=7').places.map(({ port }) => port)).toEqual([7, 7]);
    expect(() => address('host=a,b,c port=1,2')).toThrow('could not match 2 port numbers to 3 hosts');
  });

  it('takes a whole primary_conninfo as pg_basebackup writes it', () => {
    const text =
      `user=replicator password=secret channel_binding=prefer host=db1 port=5432 sslmode=prefer sslcompression=0 ` +
      `sslcertmode=allow sslsni=1 ssl_min_protocol_version=TLSv1.2 gssencmode=prefer krbsrvname=postgres ` +
      `gssdelegation=0 target_session_attrs=any load_balance_hosts=disable passfile='/home/me/.pgpass'`;
    expect(address(text)).toMatchObject({
      places: [{ host: 'db1', port: 5432 }],
      user: 'replicator',
      password: 'secret',
      passwordFile: '/home/me/.pgpass',
      tls: { mode: 'prefer' },
    });
  });

  it('finds certificates where libpq looks for them', () => {
    const files = ['/home/me/.postgresql/root.crt', '/home/me/.postgresql/postgresql.key'];
    expect(address('sslmode=require', { HOME: '/home/me' }, files).tls).toEqual({
      mode: 'require',
      rootCertificate: files[0],
      certificate: undefined,
      key: files[1],
    });
  });

  it.each([
    ['nonsense=1', {}, 'connection parameter nonsense is unknown'],
    ['gssencmode=require', {}, 'connection parameter gssencmode=require is unknown or not supported'],
    ['target_session_attrs=primary', {}, 'target_session_attrs=primary'],
    ['service=mine', {}, 'connection parameter service is'],
    ['', { PGSERVICE: 'mine' }, 'PGSERVICE'],
    ['port=70000', {}, 'invalid value for connection parameter port: "70000"'],
    ['sslmode=sometimes', {}, 'invalid sslmode value: "sometimes"'],
    ['connect_timeout=soon', {}, 'connect_timeout'],
  ])('is refused when it cannot be honoured: %s %o', (text, environment, message) => {
    expect(() => address(text, environment)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) as string }),
    );
  });
});
