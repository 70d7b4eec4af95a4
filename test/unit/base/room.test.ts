import { describe, expect, it } from 'vitest';
import { keptRoom, newRoom } from '../../../src/base/room.ts';

describe('a room', () => {
  it('that is kept is the same memory for one after another, as long as that is enough', () => {
    const room = keptRoom();
    const [first, smaller, larger] = [room(1000), room(10), room(3_000_000)];
    expect([first.length, smaller.length, larger.length]).toEqual([1000, 10, 3_000_000]);
    expect(smaller.buffer).toBe(first.buffer);
    expect(larger.buffer).not.toBe(first.buffer);
    expect(room(2000).buffer).toBe(larger.buffer);
  });

  it('that is new is memory of its own', () => {
    expect(newRoom(1000).buffer).not.toBe(newRoom(1000).buffer);
  });
});
