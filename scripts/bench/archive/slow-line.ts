import { connect, createServer, type Server, type Socket } from 'node:net';

/** Bytes that one direction of a connection may have under way; more than a window of TCP holds, so it never throttles. */
const UNDER_WAY_BYTES = 64 * 1024 * 1024;

/** A port that leads to another port as over a long line. */
export interface SlowLine extends AsyncDisposable {
  port: number;
}

/**
 * Every byte arrives half a round trip after it was sent, in both directions, in order, and a new connection answers a round
 * trip later than the target's would, as the handshake of TCP would have it. Bandwidth is not limited, nothing is lost, and
 * there is no slow start: real lines are less kind to new connections.
 */
export async function slowLine(targetPort: number, roundTripMs: number): Promise<SlowLine> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port: targetPort, noDelay: true, allowHalfOpen: true });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      // An end in good order is carried like the bytes, behind them.
      one.once('close', () => sockets.delete(one));
      one.on('error', () => other.destroy());
    }
    carry(near, far, roundTripMs / 2, performance.now() + roundTripMs);
    carry(far, near, roundTripMs / 2, 0);
  });
  const port = await listen(server);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** @param notBefore by the monotonic clock: until then what is sent waits in the sender's own hands. */
function carry(from: Socket, to: Socket, delayMs: number, notBefore: number): void {
  const queue: { at: number; chunk: Buffer | undefined }[] = [];
  let underWay = 0;
  let timer: NodeJS.Timeout | undefined;
  const deliver = (): void => {
    timer = undefined;
    // A timer may fire a little early by this clock.
    while (queue[0] !== undefined && queue[0].at <= performance.now() + 0.5) {
      const chunk = queue.shift()?.chunk;
      if (to.destroyed) return;
      if (chunk === undefined) to.end();
      else {
        underWay -= chunk.length;
        to.write(chunk);
      }
    }
    if (underWay < UNDER_WAY_BYTES) from.resume();
    schedule();
  };
  const schedule = (): void => {
    const [next] = queue;
    if (next !== undefined && timer === undefined)
      timer = setTimeout(deliver, Math.max(0, next.at - performance.now()));
  };
  const accept = (chunk: Buffer | undefined): void => {
    queue.push({ at: Math.max(performance.now(), notBefore) + delayMs, chunk });
    if (chunk !== undefined) underWay += chunk.length;
    if (underWay >= UNDER_WAY_BYTES) from.pause();
    schedule();
  };
  from.on('data', accept);
  from.once('end', () => accept(undefined));
  to.once('close', () => clearTimeout(timer));
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the port has no number');
  return address.port;
}
