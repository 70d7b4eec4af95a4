import { hasCode } from '../base/errors.ts';

/** A store that loses so many uploads of one object, one after another, will lose the next too. */
const MOST_TRIES = 4;

/**
 * What `first` gives. While a store loses the upload (`upload-lost`), what `again` gives, which sends the whole from its beginning; a few
 * times, then that error.
 */
export async function sentAgain<T>(first: Promise<T>, again: () => Promise<T>): Promise<T> {
  let sending = first;
  for (let tries = 1; ; tries += 1) {
    try {
      return await sending;
    } catch (error) {
      if (!hasCode(error, 'upload-lost') || tries === MOST_TRIES) throw error;
    }
    sending = again();
  }
}
