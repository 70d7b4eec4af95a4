import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/**
 * Google's exchange of somebody else's token for one of Google's ("workload identity federation"): the kind of key file whose token
 * endpoint is in the file, so that the client library can be led here.
 */
export class FakeGoogleTokens implements AsyncDisposable {
  /** How it answers from now on: a status, `200` for tokens. */
  status = 200;
  /** How many were asked for. */
  asked = 0;
  expiresInSeconds = 3600;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((message, response) => {
      this.asked += 1;
      let form = '';
      message.on('data', (chunk: Buffer) => (form += chunk.toString()));
      message.on('end', () => {
        const subject = new URLSearchParams(form).get('subject_token') ?? '';
        const granted = {
          access_token: subject,
          issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          token_type: 'Bearer',
          expires_in: this.expiresInSeconds,
        };
        const refused = { error: 'invalid_grant', error_description: 'the subject is not known' };
        response.writeHead(this.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(this.status === 200 ? granted : refused));
      });
    });
  }

  static async start(): Promise<FakeGoogleTokens> {
    const fake = new FakeGoogleTokens();
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
  }

  /** Writes a key file into `folder` that gets the bearer token `token` from here; its path. */
  async keyFile(folder: string, token: string): Promise<string> {
    const source = join(folder, `${token}.subject`);
    await writeFile(source, token, { mode: 0o644 });
    const path = join(folder, `${token}.json`);
    const content = {
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: this.url,
      credential_source: { file: source },
    };
    await writeFile(path, JSON.stringify(content), { mode: 0o644 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
