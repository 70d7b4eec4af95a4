import type { GcsRequest } from './fake-gcs-messages.ts';

export type GcsOperation =
  'insert' | 'begin' | 'chunk' | 'cancel' | 'get' | 'download' | 'list' | 'patch' | 'delete' | 'getBucket';

export interface GcsCall {
  operation: GcsOperation;
  bucket: string;
  /** Empty where none is named in the path. */
  name: string;
}

/** Which call of the JSON API a request is; `undefined`: none that the fake knows. */
export function callOf({ method, key, query }: GcsRequest): GcsCall | undefined {
  const [, upload, bucket = '', object, name = ''] =
    /^(upload\/)?storage\/v1\/b\/([^/]+)(\/o)?(?:\/(.+))?$/.exec(key) ?? [];
  const of = (operation: GcsOperation): GcsCall => ({
    operation,
    bucket: decodeURIComponent(bucket),
    name: decodeURIComponent(name),
  });
  if (upload !== undefined) {
    if (query.has('upload_id')) return method === 'PUT' ? of('chunk') : method === 'DELETE' ? of('cancel') : undefined;
    if (method !== 'POST') return undefined;
    return { multipart: of('insert'), resumable: of('begin') }[query.get('uploadType') ?? ''];
  }
  if (bucket === '') return undefined;
  if (object === undefined) return method === 'GET' ? of('getBucket') : undefined;
  if (name === '') return method === 'GET' ? of('list') : undefined;
  switch (method) {
    case 'GET':
      return of(query.get('alt') === 'media' ? 'download' : 'get');
    case 'PATCH':
      return of('patch');
    case 'DELETE':
      return of('delete');
    default:
      return undefined;
  }
}
