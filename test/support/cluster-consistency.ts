import { join } from 'node:path';
import { debianClient } from '../../scripts/debian-clients.ts';
import { findPostgres } from '../../scripts/find-postgres.ts';
import type { Client } from 'pg';
import type { Cluster } from './cluster.ts';

/** Older servers have no heap check, and pg_amcheck wants one (amcheck 1.3). */
const AMCHECK_SINCE_MAJOR = 14;

/**
 * What pg_amcheck (before 14: amcheck's own check of indexes) and pg_visibility find wrong in any database, and tables of which an
 * index-only scan counts other rows than a sequential one. Makes the extensions that it needs, and
 * ends prepared transactions.
 */
export async function inconsistencies(cluster: Cluster): Promise<string[]> {
  await endPrepared(cluster);
  const found: string[] = [];
  const databases = await cluster.query<{ name: string }>(
    `select datname as name from pg_database where datallowconn order by 1`,
  );
  for (const { name } of databases) {
    const client = await cluster.connect(name);
    try {
      await client.query('create extension if not exists amcheck; create extension if not exists pg_visibility');
      if (cluster.postgres.major < AMCHECK_SINCE_MAJOR) await client.query(CHECK_INDEXES);
      const wrong = (await client.query<{ what: string }>(CHECK_VISIBILITY)).rows.map(({ what }) => what);
      wrong.push(...(await scansThatDiffer(client)));
      found.push(...wrong.map((one) => `${name}: ${one}`));
    } finally {
      await client.end();
    }
  }
  return cluster.postgres.major < AMCHECK_SINCE_MAJOR ? found : [...found, ...(await amcheck(cluster))];
}

/**
 * One in any database holds back the horizon that pg_check_visible judges by (GetOldestNonRemovableTransactionId without a relation,
 * pg_visibility.c), and not that of a vacuum in another database: rows would be called invisible that are visible to all.
 */
async function endPrepared(cluster: Cluster): Promise<void> {
  const open = await cluster.query<{ gid: string; database: string }>('select gid, database from pg_prepared_xacts');
  for (const { gid, database } of open) await cluster.query(`commit prepared '${gid}'`, [], database);
}

async function amcheck(cluster: Cluster): Promise<string[]> {
  const client = (await pgAmcheck()) ?? [];
  const argv = [...client, '--all', '--heapallindexed', '-h', cluster.socketDir, '-U', 'postgres'];
  const { status, stdout, stderr } = await cluster.run(argv, { timeoutMs: 120_000 });
  return status === 0 && stdout === '' && stderr === '' ? [] : [`pg_amcheck ended with ${status}: ${stdout}${stderr}`];
}

/** One of this machine's serves every major. */
async function pgAmcheck(): Promise<string[]> {
  const local = await findPostgres();
  const words =
    local.hasClients && local.major >= AMCHECK_SINCE_MAJOR
      ? [join(local.bin, 'pg_amcheck')]
      : await debianClient(17, 'pg_amcheck');
  if (words === undefined) throw new Error('this machine has no pg_amcheck, and its package archive brings none');
  return words;
}

const CHECK_INDEXES = `select bt_index_check(c.oid, true) from pg_class c join pg_index i on i.indexrelid = c.oid
  where relkind = 'i' and relam = 403 and relpersistence = 'p' and indisvalid and indisready`;

const CHECK_VISIBILITY = `select c.oid::regclass || ' ' || k || ' ' || coalesce(t::text, '') as what from pg_class c,
  lateral (select 'is not visible' as k, t_ctid as t from pg_check_visible(c.oid) t_ctid
    union all select 'is not frozen', t_ctid from pg_check_frozen(c.oid) t_ctid) f
  where relkind in ('r', 't', 'm') and relpersistence = 'p'`;

async function scansThatDiffer(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct t.oid::regclass::text as name from pg_index i join pg_class c on c.oid = i.indexrelid
      join pg_class t on t.oid = i.indrelid join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0] and a.attname = 'i'
      where indisvalid and c.relam = 403 and t.relkind in ('r', 'm') and t.relpersistence = 'p' order by 1`,
  );
  const wrong: string[] = [];
  for (const { name } of rows) {
    const counted = [];
    for (const index of ['on', 'off']) {
      await client.query(`set enable_seqscan = ${index === 'on' ? 'off' : 'on'}; set enable_indexonlyscan = ${index}`);
      await client.query(`set enable_bitmapscan = off; set enable_indexscan = off`);
      const { rows: sums } = await client.query<{ n: string }>(
        `select count(i) || ' ' || coalesce(sum(i::bigint), 0) as n from ${name} where i > -1`,
      );
      counted.push(sums[0]?.n);
    }
    if (counted[0] !== counted[1])
      wrong.push(`${name}: an index-only scan finds ${counted[0]}, a sequential one ${counted[1]}`);
  }
  return wrong;
}
