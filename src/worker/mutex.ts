import { connect, createServer, type Server } from 'node:net';
import { stat } from 'node:fs/promises';
import { systemCode } from '../base/errors.ts';

/**
 * At most one worker lives for a data directory: whoever listens on a socket without a file, which the kernel frees with the process,
 * however that ends. Nothing is ever said over it. Another user of this machine could take the name: then no worker starts, and every
 * call does its own work.
 */
export async function takeCluster(dataDirectory: string): Promise<Server | undefined> {
  const path = await socketName(dataDirectory);
  const server = createServer((socket) => socket.destroy());
  return await new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (systemCode(error) === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen({ path }, () => resolve(server));
  });
}

/** Whether a worker lives. */
export async function isClusterTaken(dataDirectory: string): Promise<boolean> {
  const path = await socketName(dataDirectory);
  return await new Promise((resolve) => {
    const socket = connect({ path });
    const end = (taken: boolean): void => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

async function socketName(dataDirectory: string): Promise<string> {
  const { dev, ino, uid } = await stat(dataDirectory);
  return `\0walhold-${uid}-${dev}-${ino}`;
}
