/**
 * The bytes of a `backup_label` without the lines that make it an incremental backup's, as pg_combinebackup writes it (write_backup_label):
 * a server refuses the label with them on 17 and later, and takes the backup for a whole one before.
 */
export function withoutIncrementalLines(label: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < label.length;) {
    const end = label.indexOf(0x0a, at);
    const next = end < 0 ? label.length : end + 1;
    const line = label.subarray(at, next);
    if (!line.toString('latin1').startsWith('INCREMENTAL FROM ')) kept.push(line);
    at = next;
  }
  return Buffer.concat(kept);
}
