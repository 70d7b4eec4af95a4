export interface S3Request {
  method: string;
  bucket: string;
  key: string;
  query: URLSearchParams;
  /** Lower-case names. */
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
}

export interface S3Reply {
  status: number;
  headers?: Record<string, string | number>;
  body?: Buffer;
}

export interface ErrorParts {
  headers?: Record<string, string>;
  /** Where the message is all that tells two refusals apart. */
  message?: string;
  xml?: string;
}

/** A refusal on its way out. */
export class Refusal extends Error {
  readonly reply: S3Reply;

  constructor(reply: S3Reply, code: string) {
    super(code);
    this.reply = reply;
  }
}

/** An error answer with S3's XML. */
export function refuse(status: number, code: string, more: ErrorParts = {}): Refusal {
  return new Refusal(errorReply(status, code, more), code);
}

export function errorReply(status: number, code: string, more: ErrorParts = {}): S3Reply {
  const message = more.message ?? `the fake says ${code}`;
  const body = xml('Error', tag('Code', code) + tag('Message', message) + (more.xml ?? ''));
  return { status, headers: { 'content-type': 'application/xml', ...more.headers }, body };
}

export function xml(root: string, inner: string): Buffer {
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n<${root}>${inner}</${root}>`);
}

export function tag(name: string, value: string | number | boolean): string {
  return `<${name}>${String(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</${name}>`;
}
