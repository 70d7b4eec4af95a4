import type { S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../base/clock.ts';

/** The store's time, from the `Date` of its answers, which are whole seconds; before any, this machine's. */
export class S3Clock {
  private readonly clock: Clock;
  private skew: number | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  now(): Date {
    return new Date(this.clock.now() + (this.skew ?? 0));
  }

  /** How far the store is ahead, by its latest answer. */
  skewMs(): number | undefined {
    return this.skew;
  }

  /** Has every answer that `client` gets set this clock, refusals too. */
  watch(client: S3Client): void {
    client.middlewareStack.add(
      (next) => async (request) => {
        const answered = await next(request);
        this.set(answered.response);
        return answered;
      },
      // Next to the connection: refusals have not become errors yet.
      { step: 'deserialize', priority: 'low', name: 'walholdClock' },
    );
  }

  private set(response: unknown): void {
    const { headers } = response as { headers?: Record<string, string | undefined> };
    const date = Date.parse(headers?.['date'] ?? '');
    if (!Number.isNaN(date)) this.skew = date - this.clock.now();
  }
}
