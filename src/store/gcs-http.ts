import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: URL;
  headers: Readonly<Record<string, string>>;
  /** Sent one after the other, with the length announced. */
  body?: readonly Uint8Array[];
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** To be read to its end, or destroyed. */
  body: IncomingMessage;
}

/** Kept-alive connections to one store. */
export interface HttpConnections {
  /** One request, unrepeated, redirects not followed. Aborting ends it, also while its body is read. */
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
  close(): void;
}

export function httpConnections(): HttpConnections {
  // A WAL file goes to the same place as the one before: connections idle less than servers keep them.
  const options = { keepAlive: true, keepAliveMsecs: 10_000, maxSockets: 64 };
  const http = new HttpAgent(options);
  const https = new HttpsAgent(options);
  return {
    send: ({ method, url, headers, body = [] }, signal) =>
      new Promise((resolve, reject) => {
        const secure = url.protocol === 'https:';
        const length = body.reduce((sum, piece) => sum + piece.byteLength, 0);
        const carries = method !== 'GET' && method !== 'DELETE';
        const request = (secure ? httpsRequest : httpRequest)(url, {
          method,
          agent: secure ? https : http,
          headers: { ...headers, ...(carries ? { 'content-length': String(length) } : {}) },
          signal,
        });
        request.on('error', reject);
        request.on('response', (answer) => {
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer });
        });
        for (const piece of body) request.write(piece);
        request.end();
      }),
    close() {
      http.destroy();
      https.destroy();
    },
  };
}
