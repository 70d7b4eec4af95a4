import type { ServerResponse } from 'node:http';
import { errorReply, type S3Reply, type S3Request } from './fake-s3-messages.ts';
import type { Operation } from './fake-s3-routes.ts';
import { send } from './fake-s3.ts';

/** What happens to a request instead of being carried out and answered. */
export type Fault = (request: S3Request, carryOut: () => S3Reply, response: ServerResponse) => void | Promise<void>;

/** None: for the requests before the one that is to fail. */
export const asUsual: Fault = (request, carryOut, response) => send(response, carryOut(), request.method);

/** Answers with an error, having done nothing. */
export function answers(status: number, code: string, headers: Record<string, string> = {}): Fault {
  return (request, _, response) => send(response, errorReply(status, code, { headers }), request.method);
}

/** Answers what no S3 would, as a proxy between does. */
export function says(reply: S3Reply): Fault {
  return (request, _, response) => send(response, reply, request.method);
}

/** A 200 with an error in its body, which CompleteMultipartUpload may give. */
export function errorInside200(code: string): Fault {
  return (request, _, response) => send(response, { ...errorReply(200, code), status: 200 }, request.method);
}

/** Drops the connection, having done nothing. */
export const drops: Fault = (_, __, response) => void response.destroy();

/** Does what was asked, and drops the connection instead of saying so. */
export const losesAnswer: Fault = (_, carryOut, response) => {
  carryOut();
  response.destroy();
};

/** Does what was asked and never says anything. */
export const losesAnswerAndHangs: Fault = (_, carryOut) => {
  carryOut();
};

/** Never answers; nothing is done. */
export const hangs: Fault = () => undefined;

/** Promises the whole body and breaks off after `bytes`. */
export function cutsBody(bytes: number): Fault {
  return (_, carryOut, response) => {
    const reply = carryOut();
    const body = reply.body ?? Buffer.alloc(0);
    response.writeHead(reply.status, { 'content-length': body.byteLength, ...reply.headers });
    response.write(body.subarray(0, bytes), () => response.destroy());
  };
}

/** Sends `bytes` of the body and then nothing, the connection open. */
export function stallsBody(bytes: number): Fault {
  return (_, carryOut, response) => {
    const reply = carryOut();
    const body = reply.body ?? Buffer.alloc(0);
    response.writeHead(reply.status, { 'content-length': body.byteLength, ...reply.headers });
    response.write(body.subarray(0, bytes));
  };
}

/** Sends a byte every `everyMs`, which never is idle for long. */
export function drips(everyMs: number): Fault {
  return (_, carryOut, response) => {
    const reply = carryOut();
    const body = reply.body ?? Buffer.alloc(0);
    response.writeHead(reply.status, { 'content-length': body.byteLength, ...reply.headers });
    let at = 0;
    const timer = setInterval(() => {
      response.write(body.subarray(at, at + 1));
      at += 1;
    }, everyMs);
    response.on('close', () => clearInterval(timer));
  };
}

/** As if a bit of the body had turned on the way. */
export const receivesDamaged: Fault = (request, carryOut, response) => {
  request.headers = { ...request.headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };
  request.body.writeUInt8(request.body.readUInt8(0) ^ 1, 0);
  send(response, carryOut(), request.method);
};

/** Waits for `until`, then goes on as usual. */
export function waitsFor(until: Promise<void>): Fault {
  return async (request, carryOut, response) => {
    await until;
    send(response, carryOut(), request.method);
  };
}

/** Runs `first`, then goes on as usual: what somebody else does in between. */
export function meanwhile(first: () => void): Fault {
  return (request, carryOut, response) => {
    first();
    send(response, carryOut(), request.method);
  };
}

/** What is to go wrong, for a fake that names its operations `Op`. */
export class FaultScript<Op extends string = Operation> {
  readonly #lines: { fault: Fault; operation: Op | undefined; times: number }[] = [];

  add(fault: Fault, operation: Op | undefined, times: number): void {
    this.#lines.push({ fault, operation, times });
  }

  next(operation: Op | undefined): Fault | undefined {
    const at = this.#lines.findIndex((line) => line.operation === undefined || line.operation === operation);
    const line = this.#lines[at];
    if (line === undefined) return undefined;
    line.times -= 1;
    if (line.times <= 0) this.#lines.splice(at, 1);
    return line.fault;
  }

  clear(): void {
    this.#lines.length = 0;
  }

  get empty(): boolean {
    return this.#lines.length === 0;
  }
}
