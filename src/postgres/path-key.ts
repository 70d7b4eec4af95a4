/** One text for each path, to look it up by: a path of text never contains a zero byte, and what is no UTF-8 begins with one. */
export function pathKey(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : `\0${Buffer.from(path).toString('hex')}`;
}
