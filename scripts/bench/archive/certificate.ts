import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Place } from '../../../test/support/place.ts';
import { runOk } from '../../../test/support/run.ts';
import type { Certificate } from '../../../test/support/s3-server.ts';

/**
 * A certificate for `localhost`, good for a day, that is its own authority; `file` holds it for programs.
 *
 * @throws when there is no openssl.
 */
export async function selfSigned(place: Place): Promise<Certificate & { file: string }> {
  const file = join(place.path, 'authority.pem');
  const keyFile = join(place.path, 'authority.key');
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await runOk(place.owner, ['openssl', 'req', ...kind, ...names, '-keyout', keyFile, '-out', file]);
  return { file, certificate: await readFile(file, 'utf8'), key: await readFile(keyFile, 'utf8') };
}
