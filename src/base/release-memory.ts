/**
 * V8 counts what lies outside its heap, as all large buffers do, but leniently: each thread may have 64 MB of it that nobody refers to,
 * for as long as little else is allocated. Only a process that was started with `--expose-gc` can do something about it; in others these
 * do nothing.
 */
import { getHeapStatistics } from 'node:v8';

/** Frees this thread's unused buffers when there is more than so much in buffers. Takes some 15 ms then. */
export function releaseBeyond(bytes: number): void {
  if (globalThis.gc === undefined || getHeapStatistics().external_memory <= bytes) return;
  globalThis.gc({ type: 'major', execution: 'sync' });
}

/** Frees what this thread's heap holds of no use, when more than so much is in it. For the end of a step that has left much behind. */
export function releaseHeapBeyond(bytes: number): void {
  if (globalThis.gc === undefined || getHeapStatistics().used_heap_size <= bytes) return;
  globalThis.gc({ type: 'major', execution: 'sync' });
}

/** All that can be had, by several collections one after another. For who has nothing else to do. */
export function releaseAll(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
