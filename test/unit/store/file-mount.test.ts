import { expect, it } from 'vitest';
import { readMountOptions } from '../../../src/store/file-mount.ts';

const MOUNTINFO = `21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /mnt rw,nosuid shared:2 - ext4 /dev/vdb rw
23 22 0:21 / /mnt/backup\\040of\\040all rw,noatime shared:3 - xfs /dev/vdc rw
24 22 0:22 / /mnt/twice rw,noatime shared:3 - xfs /dev/vdc rw
25 22 0:23 / /mnt/twice rw shared:3 - xfs /dev/vdd rw
`;

it.each([
  ['/srv/repository', false],
  ['/', false],
  ['/mnt', true],
  ['/mnt/x/y', true],
  ['/mntx', false],
  ['/mnt/backup of all/r', false],
  ['/mnt/backup', true],
  ['/mnt/twice/r', true],
])('reading moves the access times below %s: %s', (path, moves) => {
  expect(readMountOptions(MOUNTINFO, path)).toBe(moves);
});

it('what is mounted nowhere is not known', () => {
  expect(readMountOptions('', '/srv')).toBeUndefined();
});
