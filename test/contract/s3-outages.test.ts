import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../src/base/errors.ts';
import type { Body, Store } from '../../src/store/store.ts';
import { bytesOf, collected, patternBytes } from '../support/bytes.ts';
import {
  answers,
  asUsual,
  cutsBody,
  drips,
  drops,
  hangs,
  losesAnswer,
  losesAnswerAndHangs,
  receivesDamaged,
  says,
  stallsBody,
  type Fault,
} from '../support/fake-s3-faults.ts';
import type { Operation } from '../support/fake-s3-routes.ts';
import { fakeWithStores, type FakeWithStores } from '../support/fake-s3-store.ts';

const { signal } = new AbortController();
const content = patternBytes(300_000);
const body: Body = { kind: 'buffer', bytes: content };

/** Every way to ask, with the operation it comes down to. */
const CALLS: [Operation, (store: Store) => Promise<unknown>][] = [
  ['HeadObject', (store) => store.stat('there', { signal })],
  ['GetObject', (store) => store.open('there', { signal })],
  ['GetObject', (store) => store.stat('none', { signal })],
  ['ListObjectsV2', (store) => collected(store.list('', { signal }))],
  ['PutObject', (store) => store.create('new', body, { signal })],
];

const OUTAGES: [string, Fault][] = [
  ['503 SlowDown', answers(503, 'SlowDown')],
  ['503 ServiceUnavailable', answers(503, 'ServiceUnavailable')],
  ['500 InternalError', answers(500, 'InternalError')],
  ['429 TooManyRequests', answers(429, 'TooManyRequests')],
  ['400 RequestTimeout', answers(400, 'RequestTimeout')],
  ['403 RequestTimeTooSkewed', answers(403, 'RequestTimeTooSkewed')],
  ['a gateway page', says({ status: 502, body: Buffer.from('<html>Bad Gateway</html>') })],
  ['a dropped connection', drops],
];

async function prepared(options: Parameters<typeof fakeWithStores>[0] = {}): Promise<FakeWithStores> {
  const made = await fakeWithStores(options);
  made.bucket.add('repo/there', content);
  return made;
}

describe('an S3 store in an outage', () => {
  it.each(OUTAGES)('says unreachable, never absent: %s', async (_, fault) => {
    await using at = await prepared();
    for (const [operation, call] of CALLS) {
      at.fake.fail(fault, { times: 2 });
      await expect(call(at.once), operation).rejects.toMatchObject({ code: 'unreachable' });
      at.fake.forget();
    }
  });

  it.each(OUTAGES)('works through retry once it is over: %s', async (_, fault) => {
    await using at = await prepared();
    for (const [operation, call] of CALLS) {
      at.fake.fail(fault, { times: 4 });
      await call(at.retrying);
      expect(at.fake.allFaultsMet, operation).toBe(true);
    }
    expect(at.bucket.current('repo/new')?.bytes?.equals(content)).toBe(true);
  });

  it('concludes nothing from a refusal that is cut off before it gives its reason', async () => {
    await using at = await prepared();
    for (const call of ['stat', 'open'] as const) {
      at.fake.fail(cutsBody(20), { operation: 'GetObject' });
      await expect(at.once[call]('none', { signal })).rejects.toMatchObject({ code: 'unreachable' });
    }
    at.fake.fail(cutsBody(20), { operation: 'GetObject', times: 3 });
    expect(await at.retrying.open('none', { signal })).toBeUndefined();
  });

  it('says unreachable when nothing listens', async () => {
    const at = await prepared();
    await at.fake[Symbol.asyncDispose]();
    for (const [operation, call] of CALLS) {
      await expect(call(at.once), operation).rejects.toMatchObject({
        code: 'unreachable',
        detail: expect.stringContaining('ECONNREFUSED') as string,
      });
    }
  });

  it('gives a request that hangs no longer than the time-out', async () => {
    await using at = await prepared({ requestTimeoutMs: 150 });
    for (const [operation, call] of CALLS) {
      at.fake.fail(hangs);
      await expect(call(at.once), operation).rejects.toMatchObject({ code: 'unreachable' });
    }
    at.fake.fail(hangs, { times: 2 });
    expect(await at.retrying.stat('there', { signal })).toMatchObject({ bytes: 300_000 });
    expect(at.fake.allFaultsMet).toBe(true);
  });

  it.each([0, 30])('gives an answer that stops coming after %i bytes no longer than the time-out', async (bytes) => {
    await using at = await prepared({ requestTimeoutMs: 150 });
    const listing = (): Promise<unknown> => collected(at.once.list('', { signal }));
    at.fake.fail(stallsBody(bytes), { operation: 'ListObjectsV2' });
    await expect(listing()).rejects.toMatchObject({ code: 'unreachable' });
    // A refusal has a body too.
    at.bucket.versions.clear();
    at.fake.fail(stallsBody(bytes), { operation: 'GetObject' });
    await expect(at.once.open('there', { signal })).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('ends at once when the caller gives up on a request that hangs', async () => {
    await using at = await prepared();
    const reason = new WalholdError('interrupted', 'told to stop');
    for (const store of [at.once, at.retrying]) {
      const controller = new AbortController();
      at.fake.fail((request, carryOut, response) => {
        controller.abort(reason);
        return hangs(request, carryOut, response);
      });
      await expect(store.stat('there', { signal: controller.signal })).rejects.toBe(reason);
    }
  });
});

describe('a body from S3', () => {
  it.each([
    ['cut short', cutsBody(70_000)],
    ['cut before its first byte', cutsBody(0)],
    ['that stops coming', stallsBody(70_000)],
    ['that drips', drips(20)],
  ])('%s is unreachable, not shorter', async (_, fault) => {
    await using at = await prepared({ requestTimeoutMs: 200 });
    at.fake.fail(fault, { operation: 'GetObject' });
    const opened = await at.once.open('there', { signal });
    await expect(bytesOf(opened?.chunks)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it.each([
    ['cut short', cutsBody(70_000)],
    ['that stops coming', stallsBody(70_000)],
  ])('%s goes on where it broke, through retry', async (_, fault) => {
    await using at = await prepared({ requestTimeoutMs: 200 });
    at.fake.fail(fault, { operation: 'GetObject', times: 3 });
    const opened = await at.retrying.open('there', { signal });
    expect((await bytesOf(opened?.chunks)).equals(content)).toBe(true);
    expect(at.fake.requests).toEqual(['GetObject', 'GetObject', 'GetObject', 'GetObject']);
  });

  it('may be read slowly', async () => {
    await using at = await prepared({ requestTimeoutMs: 100 });
    const opened = await at.once.open('there', { signal });
    const chunks: Uint8Array[] = [];
    for await (const chunk of opened?.chunks ?? []) {
      chunks.push(chunk);
      if (chunks.length === 1) await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  });
});

describe('an S3 store', () => {
  it('asks one thing after another over one connection, large bodies included', async () => {
    await using at = await prepared();
    for (const [operation, call] of CALLS) if (operation !== 'GetObject') await call(at.once);
    const large: Body = { kind: 'buffer', bytes: patternBytes(5_000_000) };
    await at.once.create('large', large, { signal });
    const opened = await at.once.open('large', { signal });
    await bytesOf(opened?.chunks);
    await at.once.stat('large', { signal });
    expect(await at.once.stat('none', { signal })).toBeUndefined();
    expect(at.fake.connections).toBe(1);
  });
});

describe('creating an object in S3', () => {
  it('says exists after an answer was lost: the caller finds its own bytes', async () => {
    await using at = await prepared();
    at.fake.fail(losesAnswer, { operation: 'PutObject' });
    expect(await at.retrying.create('new', body, { signal })).toBe('exists');
    const opened = await at.retrying.open('new', { signal });
    expect((await bytesOf(opened?.chunks)).equals(content)).toBe(true);
    expect(at.bucket.versions.get('repo/new')).toHaveLength(1);
  });

  it('says unreachable when the answer was lost and nothing is repeated', async () => {
    await using at = await prepared({ requestTimeoutMs: 200 });
    at.fake.fail(losesAnswer, { operation: 'PutObject' });
    await expect(at.once.create('new', body, { signal })).rejects.toMatchObject({ code: 'unreachable' });
    at.fake.fail(losesAnswerAndHangs, { operation: 'PutObject' });
    await expect(at.once.create('new-2', body, { signal })).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('repeats what met a conflicting request', async () => {
    await using at = await prepared();
    at.fake.fail(answers(409, 'ConditionalRequestConflict'), { operation: 'PutObject', times: 2 });
    expect(await at.retrying.create('new', body, { signal })).toBe('created');
    expect(at.fake.requests).toEqual(['PutObject', 'PutObject', 'PutObject']);
  });

  it('repeats what arrived damaged, and stores the right bytes', async () => {
    await using at = await prepared();
    at.fake.fail(receivesDamaged, { operation: 'PutObject', times: 2 });
    expect(await at.retrying.create('new', body, { signal })).toBe('created');
    expect(at.bucket.current('repo/new')?.bytes?.equals(content)).toBe(true);
    expect(at.bucket.versions.get('repo/new')).toHaveLength(1);
  });

  it('resumes a listing between its pages', async () => {
    await using at = await prepared({ pageKeys: 2 });
    for (const key of ['a', 'b', 'c', 'd', 'e']) at.bucket.add(`repo/${key}`, content);
    at.fake.fail(asUsual, { operation: 'ListObjectsV2' });
    at.fake.fail(answers(503, 'SlowDown'), { operation: 'ListObjectsV2', times: 2 });
    const entries = await collected(at.retrying.list('', { signal }));
    expect(entries.map((entry) => (entry.kind === 'object' ? entry.key : ''))).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
      'there',
    ]);
    expect(at.fake.allFaultsMet).toBe(true);
  });
});
