declare const lsnBrand: unique symbol;

/** A position in the WAL: bytes since the cluster was made. Made by `lsn`, `parseLsn` and the parsers of this room only. */
export type Lsn = bigint & { readonly [lsnBrand]: true };

const LARGEST = 0xffff_ffff_ffff_ffffn;

/** `n` as an LSN. Throws a RangeError outside 64 bits: such a number is a mistake in the code, not in the input. */
export function lsn(n: bigint): Lsn {
  if (n < 0n || n > LARGEST) throw new RangeError(`${n} is not a WAL position`);
  return n as Lsn;
}

/** Reads PostgreSQL's `16/B374D848` (1 to 8 hex digits on each side, either case; pg_lsn_in). `undefined`: not an LSN. */
export function parseLsn(text: string): Lsn | undefined {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) return undefined;
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** Writes an LSN as PostgreSQL prints it (`%X/%X`), for example `0/16B3740`. */
export function formatLsn(position: Lsn): string {
  return `${hex(position >> 32n)}/${hex(position & 0xffff_ffffn)}`;
}

function hex(n: bigint): string {
  return n.toString(16).toUpperCase();
}
