import { expect, it } from 'vitest';
import { abortable } from '../../../src/store/abortable.ts';

const reason = new Error('enough');

it('is the work, when nothing aborts', async () => {
  const { signal } = new AbortController();
  expect(await abortable(signal, Promise.resolve('done'))).toBe('done');
  await expect(abortable(signal, Promise.reject(reason))).rejects.toBe(reason);
});

it('is the reason at once, though the work never ends', async () => {
  const controller = new AbortController();
  const waiting = abortable(controller.signal, new Promise(() => undefined));
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

it('is the reason when it had aborted before, and the failure of the work is nobody’s', async () => {
  const failing = Promise.reject(new Error('later'));
  await expect(abortable(AbortSignal.abort(reason), failing)).rejects.toBe(reason);
});
