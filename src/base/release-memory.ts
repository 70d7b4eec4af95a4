/**
 * V8 counts what lies outside its heap, as all large buffers do, but leniently: tens of megabytes that nobody refers to may lie there, in
 * each thread, for as long as little else is allocated. Only a process that was started with `--expose-gc` can do something about it; in
 * others these do nothing.
 */

/** What was used for one file and is not needed for the next. Takes about a millisecond. */
export function releaseYoung(): void {
  globalThis.gc?.({ type: 'minor', execution: 'sync' });
}

/** All that can be had, by several collections one after another. For who has nothing else to do. */
export function releaseAll(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
