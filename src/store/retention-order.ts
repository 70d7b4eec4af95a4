/** Whether a retention of mode `held` is at least as hard to undo as one of mode `asked`. */
export function isAsStrict(held: 'governance' | 'compliance', asked: 'governance' | 'compliance'): boolean {
  return held === 'compliance' || asked === 'governance';
}
