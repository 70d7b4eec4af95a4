import { WalholdError } from '../base/errors.ts';
import { endAs } from './exit.ts';

/** The launcher passes on what the whole process group may have been told already: that is one signal, not two. */
const SAME_SIGNAL_MS = 1000;

/** Aborts with `interrupted` at the first signal that asks to stop; a later one ends the process at once. */
export function stopSignal(): AbortSignal {
  const stopped = new AbortController();
  let firstAt: number | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      firstAt ??= performance.now();
      if (performance.now() - firstAt > SAME_SIGNAL_MS) endAs('stopped');
      stopped.abort(new WalholdError('interrupted', `stopped by ${name}`));
    });
  }
  return stopped.signal;
}
