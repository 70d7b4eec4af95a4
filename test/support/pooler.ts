import { createServer, connect, type Server } from 'node:net';
import { once } from 'node:events';

/** Stands between a client and a server as a connection pooler does: what the client holds is a cancel key of the pooler's own. */
export class Pooler implements AsyncDisposable {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async before(socketPath: string): Promise<Pooler> {
    const server = createServer((client) => {
      const upstream = connect(socketPath);
      let seen = false;
      client.pipe(upstream);
      upstream.on('data', (chunk: Buffer) => {
        // BackendKeyData: 'K', length 12, process, key. It comes in the answer to the start-up.
        const at = seen ? -1 : chunk.indexOf(Buffer.from('4b0000000c', 'hex'));
        if (at >= 0) {
          seen = true;
          chunk.writeUInt32BE(0x7fff_fff0, at + 5);
        }
        client.write(chunk);
      });
      upstream.on('close', () => client.destroy());
      client.on('close', () => upstream.destroy());
      for (const one of [client, upstream]) one.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the pooler does not listen');
    return new Pooler(server, address.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close').catch(() => {});
  }
}
