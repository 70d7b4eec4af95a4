import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { FakeS3 } from './fake-s3.ts';
import { crc32cText, type FakeBucket } from './fake-s3-bucket.ts';
import { deleteObject } from './fake-s3-locks.ts';
import { Refusal, refuse, tag, xml, type S3Reply, type S3Request } from './fake-s3-messages.ts';
import { checkRights, type Caller } from './fake-s3-rights.ts';

const MOST = 1000;

/** Each object as by a request of its own; what is refused is told in the body of a 200. */
export function deleteObjects(fake: FakeS3, bucket: FakeBucket, request: S3Request, caller: Caller): S3Reply {
  checkBody(fake, request);
  const text = request.body.toString('utf8');
  const objects = [...text.matchAll(/<Object>(.*?)<\/Object>/gs)].map(([, inner = '']) => ({
    key: textOf(inner, 'Key') ?? '',
    id: textOf(inner, 'VersionId'),
  }));
  if (!/^(<\?xml[^>]*>\s*)?<Delete\b/.test(text) || objects.length === 0 || objects.length > MOST)
    throw refuse(400, 'MalformedXML');
  const isQuiet = textOf(text, 'Quiet') === 'true';
  const answers = objects.map(({ key, id }) => {
    const one = {
      ...request,
      key,
      query: new URLSearchParams(id === undefined ? {} : { versionId: id }),
      body: Buffer.alloc(0),
    };
    const named = tag('Key', key) + (id === undefined ? '' : tag('VersionId', id));
    try {
      checkRights(caller, 'DeleteObject', one);
      deleteObject(bucket, one);
      return isQuiet ? '' : `<Deleted>${named}</Deleted>`;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return `<Error>${named}${tag('Code', error.message)}${tag('Message', 'Access Denied')}</Error>`;
    }
  });
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: xml('DeleteResult', answers.join('')) };
}

/** S3 wants a checksum of it, by whichever method. */
function checkBody(fake: FakeS3, { headers, body }: S3Request): void {
  const sums: Record<string, string> = {
    'content-md5': createHash('md5').update(body).digest('base64'),
    'x-amz-checksum-crc32c': crc32cText(body),
    'x-amz-checksum-crc32': crc32Text(body),
  };
  const sent = Object.entries(sums).filter(([name]) => headers[name] !== undefined);
  if (sent.length === 0) throw refuse(400, 'InvalidRequest', { message: 'Missing required header: Content-MD5' });
  for (const [name, sum] of sent)
    if (headers[name] !== sum && !fake.breaks('checksums')) throw refuse(400, 'BadDigest');
}

function crc32Text(body: Buffer): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return sum.toString('base64');
}

function textOf(inner: string, name: string): string | undefined {
  const found = new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(inner)?.[1];
  return found?.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
