import type { Case } from '../figures.ts';
import type { Archiver } from './archiver.ts';
import type { StoreKind } from './repository.ts';

/** Those that can archive to such a store; why the others are not in it goes into the case. */
export function whoCan(one: Case, archivers: readonly Archiver[], kind: StoreKind): Archiver[] {
  for (const { name, stores } of archivers) {
    if (!stores.includes(kind)) one.missing.set(name, `it does not store in ${kind === 'S3' ? 'S3' : 'folders'}`);
  }
  return archivers.filter(({ stores }) => stores.includes(kind));
}
