/** Who gets a share of the work. */
export interface Hand<T> {
  take: (item: T) => void;
  /** Nothing more will come. */
  end: () => void;
}

export interface DealOptions<T> {
  /** What a hand may have before it, the one that it works on with it. */
  most: number;
  bytesOf: (item: T) => number;
}

/** What an item costs by itself, be it empty. */
const ITEM_BYTES = 64 * 1024;

/**
 * Deals items out in their order. The next one goes to whoever has the fewest bytes before it, and waits until that one has room for it: what is
 * taken ahead never lies before one thread while another has nothing left to do. With the largest first all end at about the same time.
 */
export class Dealer<T> {
  readonly #items: Iterator<T>;
  readonly #options: DealOptions<T>;
  #hands: { hand: Hand<T>; bytes: number; items: number[] }[] = [];

  constructor(items: Iterable<T>, options: DealOptions<T>) {
    this.#items = items[Symbol.iterator]();
    this.#options = options;
  }

  /** Deals to all these from now on. */
  begin(hands: readonly Hand<T>[]): void {
    this.#hands = hands.map((hand) => ({ hand, bytes: 0, items: [] }));
    this.#deal();
  }

  /** A hand is done with the first that it has. */
  done(hand: Hand<T>): void {
    const found = this.#hands.find((one) => one.hand === hand);
    if (found === undefined) return;
    found.bytes -= found.items.shift() ?? 0;
    this.#deal();
  }

  #deal(): void {
    for (;;) {
      const [least] = this.#hands.toSorted((a, b) => a.bytes - b.bytes);
      if (least === undefined || least.items.length >= this.#options.most) return;
      const next = this.#items.next();
      if (next.done === true) break;
      const bytes = ITEM_BYTES + this.#options.bytesOf(next.value);
      least.items.push(bytes);
      least.bytes += bytes;
      least.hand.take(next.value);
    }
    const ended = this.#hands;
    this.#hands = [];
    for (const { hand } of ended) hand.end();
  }
}
