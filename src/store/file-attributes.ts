import { abortable } from './abortable.ts';
import { readImmutable, setImmutable } from './file-immutable.ts';
import type { CallOptions } from './store.ts';

/** The immutable attribute of single files: what is asked while a process runs goes to the next one together. */
export class FileAttributes {
  readonly #reading: Gathering<boolean>;
  readonly #setting: Gathering<undefined>;
  readonly #clearing: Gathering<undefined>;

  constructor(root: string) {
    const change = (on: boolean): Gathering<undefined> =>
      new Gathering(async (keys, options) => {
        await setImmutable(root, keys, on, options);
        return () => undefined;
      });
    this.#setting = change(true);
    this.#clearing = change(false);
    this.#reading = new Gathering(async (keys, options) => {
      const immutable = await readImmutable(root, keys, options);
      return (key) => immutable.has(key);
    });
  }

  /** Throws as `readImmutable`. */
  isImmutable(key: string, options: CallOptions): Promise<boolean> {
    return this.#reading.ask(key, options);
  }

  /** Throws as `setImmutable`, also where it was another file's change that failed. */
  async setImmutable(key: string, on: boolean, options: CallOptions): Promise<void> {
    await (on ? this.#setting : this.#clearing).ask(key, options);
  }
}

type Ask<R> = (keys: string[], options: CallOptions) => Promise<(key: string) => R>;

class Gathering<R> {
  readonly #run: Ask<R>;
  readonly #waiting: { key: string; signal: AbortSignal; answered: PromiseWithResolvers<R> }[] = [];
  #running = false;

  constructor(run: Ask<R>) {
    this.#run = run;
  }

  async ask(key: string, { signal }: CallOptions): Promise<R> {
    const answered = Promise.withResolvers<R>();
    this.#waiting.push({ key, signal, answered });
    if (!this.#running) void this.#drain();
    return abortable(signal, answered.promise);
  }

  async #drain(): Promise<void> {
    this.#running = true;
    // Those who ask in the same moment come along.
    await Promise.resolve();
    for (;;) {
      const asked = this.#waiting.splice(0);
      const [first] = asked;
      if (first === undefined) break;
      try {
        const answer = await this.#run(
          asked.map(({ key }) => key),
          { signal: first.signal },
        );
        for (const { key, answered } of asked) answered.resolve(answer(key));
      } catch (error) {
        for (const { answered } of asked) answered.reject(error);
      }
    }
    this.#running = false;
  }
}
