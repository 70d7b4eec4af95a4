import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { restoreCommand, type HookOptions } from './hook.ts';

/** What one call for a file said and brought. */
export interface WatchedCall {
  name: string;
  status: number;
  /** SHA-256 of what lay in the place afterwards; empty where the status is another than 0. */
  sha256: string;
}

export interface WatchedRestore {
  /** For `restore_command`. */
  command: string;
  /** In order. */
  calls: () => WatchedCall[];
  /** The segments that a worker had brought before they were asked for. */
  ahead: () => string[];
}

// The last two words are the file's name and where it goes.
const WATCH = `log=$1
shift
for word do name=$path path=$word; done
case $(echo pg_wal/pgsql_tmp.walhold/fetch-*/"$name") in *'*'*) ;; *) echo "$name" >>"$log.ahead" ;; esac
"$@"
status=$?
sum=
[ "$status" != 0 ] || sum=$(sha256sum <"$path")
echo "$name $status \${sum%% *}" >>"$log"
exit "$status"
`;

/** The `restore_command` of a cluster, by way of a script that notes what each call came to. */
export async function watchedRestore(cluster: Cluster, hook: HookOptions): Promise<WatchedRestore> {
  const script = await cluster.place.file('watch.sh', WATCH);
  const log = join(cluster.place.path, 'calls');
  const lines = (path: string): string[] => (existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : []);
  return {
    command: `sh ${script} ${log} ${await restoreCommand(hook)}`,
    calls: () =>
      lines(log).map((line) => {
        const [name = '', status = '', sha256 = ''] = line.split(' ');
        return { name, status: Number(status), sha256 };
      }),
    ahead: () => lines(`${log}.ahead`),
  };
}
