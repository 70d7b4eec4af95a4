import { styleText } from 'node:util';

const SECOND_MS = 1000;

/** Tells a demonstration on stdout: numbered steps, what was done in each, and how long it took. */
export class Story {
  readonly #started: number = performance.now();
  readonly #took: { title: string; seconds: number }[] = [];

  /** Runs one step. Its title is printed before, its time after. */
  async step<T>(title: string, act: () => Promise<T>): Promise<T> {
    const started = performance.now();
    process.stdout.write(`\n${styleText('bold', `${this.#took.length + 1}. ${title}`)}\n`);
    const result = await act();
    const seconds = (performance.now() - started) / SECOND_MS;
    this.#took.push({ title, seconds });
    process.stdout.write(styleText('dim', `   ${seconds.toFixed(1)} s\n`));
    return result;
  }

  /** A line of the current step. */
  say(line: string): void {
    process.stdout.write(`   ${line}\n`);
  }

  /** A command or an SQL statement, as a person would type it. */
  command(prompt: '$' | '=#', text: string): void {
    process.stdout.write(`   ${styleText('cyan', `${prompt} ${text}`)}\n`);
  }

  /** What a program printed, indented. */
  output(text: string): void {
    for (const line of text.split('\n')) {
      if (line !== '') process.stdout.write(`     ${line}\n`);
    }
  }

  /** The steps' times in one table. */
  end(): void {
    const width = Math.max(...this.#took.map(({ title }) => title.length));
    process.stdout.write('\n');
    for (const { title, seconds } of this.#took) {
      process.stdout.write(`   ${title.padEnd(width)} ${seconds.toFixed(1).padStart(6)} s\n`);
    }
    const total = (performance.now() - this.#started) / SECOND_MS;
    process.stdout.write(`   ${'all together'.padEnd(width)} ${total.toFixed(1).padStart(6)} s\n`);
  }
}
