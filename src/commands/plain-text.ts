/** Labels and names come from a repository: none may move the operator's cursor. */
export function plainText(text: string): string {
  // eslint-disable-next-line no-control-regex -- exactly these are meant
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}
