/** Where so many bytes find place. Whether the place is given out again, its maker says. */
export type Room = (bytes: number) => Buffer<ArrayBuffer>;

/** Memory of its own for each. */
export const newRoom: Room = (bytes) => Buffer.allocUnsafeSlow(bytes);

const STEP_BYTES = 1024 * 1024;

/**
 * The same memory for one after another: what was put there before is overwritten. For who is done with one before the next begins: the
 * system need not find, clear and take back memory for each then.
 */
export function keptRoom(): Room {
  let memory = Buffer.alloc(0);
  return (bytes) => {
    if (memory.length < bytes) memory = newRoom(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES);
    return memory.subarray(0, bytes);
  };
}
