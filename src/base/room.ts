/** Where so many bytes find place. Whether the place is given out again, its maker says. */
export type Room = (bytes: number) => Buffer<ArrayBuffer>;

/** Memory of its own for each. */
export const newRoom: Room = (bytes) => Buffer.allocUnsafeSlow(bytes);

const STEP_BYTES = 1024 * 1024;

/** In this memory where it is enough, else in some of whole steps: what differs little in size finds its place where another was. */
export function roomIn(memory: ArrayBuffer | undefined, bytes: number): Buffer<ArrayBuffer> {
  const enough = memory !== undefined && memory.byteLength >= bytes;
  return Buffer.from(enough ? memory : new ArrayBuffer(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES), 0, bytes);
}

/**
 * The same memory for one after another: what was put there before is overwritten. For who is done with one before the next begins; the
 * system need not find, clear and take back memory for each then.
 */
export function keptRoom(): Room {
  let memory: ArrayBuffer | undefined;
  return (bytes) => {
    const room = roomIn(memory, bytes);
    memory = room.buffer;
    return room;
  };
}
