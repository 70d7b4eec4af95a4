import type { Archiver } from './archiver.ts';

/** What the disk allows. */
export const cp = async (): Promise<Archiver> => ({
  name: 'cp',
  version: '',
  setup: 'no compression, no check, no fsync',
  stores: ['files'],
  connect: async (_cluster, repository) => {
    if (repository.kind !== 'files') throw new Error('cp stores in folders only');
    const { path } = repository;
    return { archiveCommand: `cp %p ${path}/%f`, restoreCommand: `cp ${path}/%f %p`, env: {} };
  },
});
