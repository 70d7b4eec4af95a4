import type { Cluster } from '../../../test/support/cluster.ts';
import { pgbench } from '../workload.ts';

/**
 * `transactions`: pgbench's own, whose replay keeps a processor busy for most of a second per segment, so that it hardly waits for
 * anybody. `messages`: pg_logical_emit_message's, which replay only reads, so that it waits for whoever brings them. Both compress to
 * about a half.
 */
export type WalContent = 'transactions' | 'messages';

interface Content {
  /** Makes the tables that it needs. */
  prepare: (cluster: Cluster, scale: number) => Promise<void>;
  /** Whose pgbench script writes it. */
  script: string;
  options: (scale: number) => string[];
  /** The tables, which go at the end. */
  remove: readonly string[];
}

/** A megabyte of hexadecimal digits each, more than a compressor at its first level looks back. */
const BODIES = `
create table bodies (id int, body text);
alter table bodies alter body set storage external;
insert into bodies
  select id, (select string_agg(md5(random()::text || id || n), '') from generate_series(1, 32768) n)
  from generate_series(1, 64) id`;

export const CONTENTS: Readonly<Record<WalContent, Content>> = {
  transactions: {
    prepare: async (cluster, scale) => {
      await cluster.runOk(pgbench(cluster, '-i', '-q', '-s', String(scale)), { timeoutMs: 900_000 });
    },
    script: transactions(10),
    options: (scale) => ['-M', 'prepared', '-s', String(scale)],
    remove: ['accounts', 'branches', 'history', 'tellers'].map((name) => `pgbench_${name}`),
  },
  messages: {
    prepare: async (cluster) => {
      for (const statement of BODIES.split(';')) await cluster.query(statement);
    },
    script: `\\set id random(1, 64)
select pg_logical_emit_message(false, 'bench', body) from bodies where id = :id;
`,
    options: () => [],
    remove: ['bodies'],
  },
};

/** pgbench's own transaction, so many times without waiting for the answers in between: the same WAL, in less time. */
function transactions(times: number): string {
  const one = `
\\set aid random(1, 100000 * :scale)
\\set bid random(1, 1 * :scale)
\\set tid random(1, 10 * :scale)
\\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_tellers set tbalance = tbalance + :delta where tid = :tid;
update pgbench_branches set bbalance = bbalance + :delta where bid = :bid;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (:tid, :bid, :aid, :delta, current_timestamp);
end;`;
  return `\\startpipeline${one.repeat(times)}\n\\endpipeline\n`;
}
