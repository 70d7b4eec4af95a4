import { isAbsolute, join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import { findDataDirectory, ownsDirectory, readControlFile } from '../server/data-directory.ts';
import { NO_SPOOL, openSpool, type SaidBefore, type Spool } from '../spool/spool.ts';
import type { HookContext } from './hook-context.ts';

/** The cluster on this machine that a WAL file belongs to, as far as its path tells. */
export interface LocalCluster {
  /** Absolute; `undefined`: none was found, then there is no spool either. */
  dataDirectory: string | undefined;
  /** `undefined`: there is no pg_control. Without a segment size: of a format not known here. */
  control: (Pick<ControlFile, 'systemId'> & { readonly segmentBytes?: number }) | undefined;
  spool: Spool;
}

/** `walPath`: `%p`. `saidBefore`: see `openSpool`. Throws when a data directory is there and cannot be read. */
export async function openLocalCluster(
  walPath: string,
  context: Pick<HookContext, 'config' | 'log' | 'clock' | 'workingDirectory'>,
  options: { useSpool: boolean; saidBefore?: SaidBefore },
): Promise<LocalCluster> {
  const { config, log, clock, workingDirectory } = context;
  const dataDirectory = await findDataDirectory(walPath, workingDirectory);
  if (dataDirectory === undefined) return { dataDirectory, control: undefined, spool: NO_SPOOL };
  const spoolPath = spoolPathOf(dataDirectory, config);
  const useSpool = options.useSpool && (await ownsDirectory(dataDirectory));
  const [control, spool] = await Promise.all([
    readControlFile(dataDirectory),
    useSpool ? openSpool(spoolPath, log, clock.now(), options.saidBefore) : NO_SPOOL,
  ]);
  return { dataDirectory, control, spool };
}

/** Absolute. */
export function spoolPathOf(dataDirectory: string, { spoolPath }: Pick<Config, 'spoolPath'>): string {
  return isAbsolute(spoolPath) ? spoolPath : join(dataDirectory, spoolPath);
}
