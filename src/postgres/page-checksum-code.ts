/**
 * The checksums of pages (storage/checksum_impl.h) as WebAssembly, put together here: four lanes to a vector, which JavaScript cannot
 * express. A quarter of the time of the same in JavaScript.
 */

/** What the code offers. */
export interface ChecksumCode {
  memory: { readonly buffer: ArrayBuffer };
  /** The checksum that the page of `bytes` bytes at `at` must carry as this block of its relation: 1 to 65535. */
  checksum: (at: number, bytes: number, block: number) => number;
}

/** So many bytes of memory are the caller's, from 0 on. */
export const CHECKSUM_MEMORY_BYTES: number = 256 * 1024;

// Node's own types do not have it.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
};

export function makeChecksumCode(): ChecksumCode {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()));
  return exports as ChecksumCode;
}

/** "\0asm", version 1. */
const MAGIC: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const PRIME = 16777619;
const ROW_BYTES = 128;
const VECTORS = 8;

/** Where each lane starts (checksumBaseOffsets). */
const BASE: readonly number[] = [
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
  0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc,
  0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
  0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
];

// The WebAssembly core specification's names, in the order of its chapter on the binary format.
const I32 = 0x7f;
const V128 = 0x7b;
const END = 0x0b;
const I32_ADD = 0x6a;
const I32_LT_U = 0x49;
const I32_REM_U = 0x70;
const I32_XOR = 0x73;
const V128_ANDNOT = [0xfd, 0x4f];
const V128_XOR = [0xfd, 0x51];
const I32X4_SHR_U = [0xfd, 0xad, 0x01];
const I32X4_MUL = [0xfd, 0xb5, 0x01];

// Parameters and locals of the function.
const AT = 0;
const BYTES = 1;
const BLOCK = 2;
const FIRST_SUM = 3;
const MIXED = FIRST_SUM + VECTORS;
/** The checksum's own field, which counts as zero: in the first row of a page alone. */
const MASK = MIXED + 1;
const PRIMES = MASK + 1;
const VECTOR_LOCALS = PRIMES + 1 - FIRST_SUM;

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const type = [0x60, ...list([I32], [I32], [I32]), ...list([I32])];
  const memoryName = [...sized([...Buffer.from('memory')]), 0x02, 0];
  const functionName = [...sized([...Buffer.from('checksum')]), 0x00, 0];
  return Uint8Array.from([
    ...MAGIC,
    ...section(1, list(type)),
    ...section(3, list([0])),
    ...section(5, list([0x00, ...unsigned(CHECKSUM_MEMORY_BYTES / 65536)])),
    ...section(7, list(memoryName, functionName)),
    ...section(10, list(sized([...list([...unsigned(VECTOR_LOCALS), V128]), ...body(), END]))),
  ]);
}

/** FNV-1a over 32 lanes, two more rounds, folded. */
function body(): number[] {
  const sums = Array.from({ length: VECTORS }, (_, vector) => FIRST_SUM + vector);
  const row = sums.flatMap((sum, vector) => [...loadMasked(vector), ...mix(sum), ...(vector === 0 ? unmask() : [])]);
  const next = [get(AT), [0x41, ...signed(ROW_BYTES), I32_ADD], tee(AT), get(BYTES), [I32_LT_U, 0x0d, 0]];
  const [first = FIRST_SUM, ...others] = sums;
  return [
    ...sums.map((sum, vector) => [...constant(BASE.slice(4 * vector, 4 * vector + 4)), ...set(sum)]),
    [...constant([PRIME, PRIME, PRIME, PRIME]), ...set(PRIMES)],
    [...constant([0, 0, 0xffff, 0]), ...set(MASK)],
    // From here on `BYTES` is where the page ends.
    [...get(AT), ...get(BYTES), I32_ADD, ...set(BYTES)],
    [0x03, 0x40, ...row, ...next.flat(), END],
    ...sums.map((sum) => [...zeroRound(sum), ...zeroRound(sum)]),
    [...get(first), ...others.flatMap((sum) => [...get(sum), ...V128_XOR]), ...set(MIXED)],
    [...get(BLOCK), ...[0, 1, 2, 3].flatMap((lane) => [...get(MIXED), 0xfd, 0x1b, lane, I32_XOR])],
    [0x41, ...signed(65535), I32_REM_U, 0x41, 1, I32_ADD],
  ].flat();
}

/** The vector of the row at hand, without what the mask has. */
function loadMasked(vector: number): number[] {
  const load = [...get(AT), 0xfd, 0x00, 2, ...unsigned(16 * vector)];
  return vector === 0 ? [...load, ...get(MASK), ...V128_ANDNOT] : load;
}

function unmask(): number[] {
  return [...constant([0, 0, 0, 0]), ...set(MASK)];
}

/** Mixes the vector on the stack into a sum. */
function mix(sum: number): number[] {
  return [...get(sum), ...V128_XOR, ...set(MIXED), ...round(sum)];
}

function zeroRound(sum: number): number[] {
  return [...get(sum), ...set(MIXED), ...round(sum)];
}

function round(sum: number): number[] {
  const product = [...get(MIXED), ...get(PRIMES), ...I32X4_MUL];
  return [...product, ...get(MIXED), 0x41, 17, ...I32X4_SHR_U, ...V128_XOR, ...set(sum)];
}

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const tee = (local: number): number[] => [0x22, local];

function constant(words: readonly number[]): number[] {
  const bytes = Buffer.alloc(16);
  for (const [at, word] of words.entries()) bytes.writeUInt32LE(word, 4 * at);
  return [0xfd, 0x0c, ...bytes];
}

function section(id: number, content: number[]): number[] {
  return [id, ...sized(content)];
}

function list(...items: number[][]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function sized(content: number[]): number[] {
  return [...unsigned(content.length), ...content];
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** The same for a number that is not negative where a signed one is read. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)];
}
