const LONGEST_PATH = 4096;
const LONGEST_NAME = 255;

/**
 * The one check for a path that was read from a repository, before it is joined to a directory of ours. Answers what is
 * wrong with it, ready for a message; `undefined`: nothing, it names something below that directory.
 *
 * A path here has names separated by single slashes: not absolute, no `.` or `..`, no empty name, no zero byte, nothing
 * that is not text, nothing longer than Linux takes. Links on the way are the reader's concern: this sees only the name.
 */
export function checkRelativePath(path: string): string | undefined {
  if (path === '') return 'path is empty';
  if (path.includes('\0')) return 'path contains a zero byte';
  if (!path.isWellFormed()) return 'path is not valid text';
  if (path.startsWith('/')) return 'path is absolute';
  if (Buffer.byteLength(path) > LONGEST_PATH) return `path is longer than ${LONGEST_PATH} bytes`;
  for (const name of path.split('/')) {
    if (name === '') return 'path has an empty name in it';
    if (name === '.' || name === '..') return `path contains "${name}"`;
    if (Buffer.byteLength(name) > LONGEST_NAME) return `path has a name longer than ${LONGEST_NAME} bytes in it`;
  }
  return undefined;
}
