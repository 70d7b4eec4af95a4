import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slowLine } from '../../../scripts/bench/archive/slow-line.ts';

const ROUND_TRIP_MS = 20;

// Sends back what it gets, and ends when the other side has ended.
const echo = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));
let port = 0;

beforeAll(async () => {
  await new Promise<void>((resolve) => {
    echo.listen(0, '127.0.0.1', resolve);
  });
  const address = echo.address();
  if (address !== null && typeof address === 'object') port = address.port;
});

afterAll(() => void echo.close());

test('all bytes come back in order over one connection that is ended in its own way', async () => {
  await using line = await slowLine(port, ROUND_TRIP_MS);
  const sent = Buffer.alloc(3_000_000, 'a line of some length, over and over; ');
  const socket = connect({ host: '127.0.0.1', port: line.port, allowHalfOpen: true });
  socket.end(sent);
  const received: Buffer[] = [];
  for await (const chunk of socket) received.push(chunk as Buffer);
  expect(Buffer.concat(received).equals(sent)).toBe(true);
});

test('an answer takes a round trip, and the first of a connection two', async () => {
  await using line = await slowLine(port, ROUND_TRIP_MS);
  const socket = connect({ host: '127.0.0.1', port: line.port });
  const first = await answerMs(socket);
  const second = await answerMs(socket);
  socket.destroy();
  // The line takes a half of a millisecond for nothing, since timers are that coarse.
  expect(first).toBeGreaterThanOrEqual(2 * ROUND_TRIP_MS - 1);
  expect(second).toBeGreaterThanOrEqual(ROUND_TRIP_MS - 1);
});

test('a target that is not there ends the connection', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => {
    closed.listen(0, '127.0.0.1', resolve);
  });
  const address = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  await using line = await slowLine(address !== null && typeof address === 'object' ? address.port : 0, ROUND_TRIP_MS);
  const socket = connect({ host: '127.0.0.1', port: line.port });
  socket.on('error', () => {});
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  expect(socket.destroyed).toBe(true);
});

async function answerMs(socket: Socket): Promise<number> {
  const started = performance.now();
  socket.write('?');
  await new Promise((resolve) => socket.once('data', resolve));
  return performance.now() - started;
}
