// The benchmark that scripts/bench/run starts.
import type { Contender, Enter } from './contender.ts';
import { endBySignals } from './ending.ts';
import { benchOptions } from './options.ts';
import { pgbackrest } from './pgbackrest.ts';
import { pgBasebackup } from './pg-basebackup.ts';
import { cp } from './plain-copy.ts';
import { report } from './report.ts';
import { writeSection } from './results-file.ts';
import { runRounds, SAMPLED_SEGMENTS } from './rounds.ts';
import { walhold } from './walhold.ts';
import { makeWorkload } from './workload.ts';

// The first is the one that the others are compared with.
const ENTRANTS: readonly Enter[] = [walhold, pgbackrest, pgBasebackup, cp];

const tell = (line: string): void => void process.stderr.write(`${line}\n`);

endBySignals();

const options = benchOptions(process.argv.slice(2));
tell(`a cluster of scale ${options.scale} is made`);
await using workload = await makeWorkload({ ...options, segments: options.segments + SAMPLED_SEGMENTS });
const contenders: Contender[] = [];
for (const enter of ENTRANTS) {
  const contender = await enter(workload.cluster);
  if (contender === undefined) tell(`${enter.name} is not installed, and left out`);
  else contenders.push(contender);
}
await workload.cluster.runOk(['sh', '-c', 'tar -c "$1" | cat >/dev/null', 'sh', workload.cluster.dataDir]);
const table = await runRounds(workload, contenders, options, tell);
await writeSection(options.output, 'commands', report(workload, contenders, table, options));
tell(`written: ${options.output}`);
