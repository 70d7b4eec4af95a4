import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { chromium } from '../../scripts/chromium.ts';

/** Chromium looks for its maker, for updates and for a desktop unless it is told not to. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-pipe',
];
const ANSWER_MS = 60_000;

interface Message {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { message: string };
}

export interface Screen {
  width: number;
  height?: number;
  scheme: 'light' | 'dark';
}

/** A Chromium without a window, with one page, spoken to in its DevTools protocol. Gone when disposed of. */
export class Browser implements AsyncDisposable {
  /** What the page's console, its policy and its scripts complained of. */
  readonly complaints: string[] = [];
  /** Addresses of all that was asked for. */
  readonly requests: string[] = [];
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #loaded: (() => void)[] = [];
  #session: string | undefined;
  #calls = 0;

  private constructor(process: ChildProcess, profile: string) {
    this.#process = process;
    this.#profile = profile;
    let text = '';
    (process.stdio[4] as Readable).setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (text + chunk).split('\0');
      text = parts.pop() ?? '';
      for (const part of parts) this.#take(JSON.parse(part) as Message);
    });
    process.on('exit', (status) => {
      for (const one of this.#waiting.values()) one.reject(new Error(`chromium ended with ${status}`));
    });
  }

  static async start(): Promise<Browser> {
    const { program, env } = await chromium();
    const profile = await mkdtemp(join(tmpdir(), 'walhold-browser-'));
    const started = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    const browser = new Browser(started, profile);
    try {
      await browser.#attach();
      return browser;
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** To the page that it begins with. */
  async #attach(): Promise<void> {
    const { targetInfos } = (await this.#call('Target.getTargets')) as {
      targetInfos: { targetId: string; type: string }[];
    };
    const targetId = targetInfos.find(({ type }) => type === 'page')?.targetId;
    const attached = await this.#call('Target.attachToTarget', { targetId, flatten: true });
    this.#session = attached['sessionId'] as string;
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.#call(`${domain}.enable`);
  }

  /** Looks at the page on this screen from now on. */
  async resize({ width, height = 900, scheme }: Screen): Promise<void> {
    const mobile = width < 600;
    await this.#call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile });
    await this.emulate('screen', scheme);
  }

  async emulate(media: 'screen' | 'print', scheme: Screen['scheme']): Promise<void> {
    await this.#call('Emulation.setEmulatedMedia', {
      media,
      features: [{ name: 'prefers-color-scheme', value: scheme }],
    });
  }

  /** Resolves when the page is there with all that it needs. */
  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => this.#loaded.push(resolve));
    await this.#call('Page.navigate', { url });
    await loaded;
  }

  /** What an expression is worth on the page, as JSON. */
  async ask<T>(expression: string): Promise<T> {
    const answer = await this.#call('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
    const { result, exceptionDetails } = answer as { result: { value: T }; exceptionDetails?: unknown };
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  }

  async press(key: 'Tab'): Promise<void> {
    for (const type of ['keyDown', 'keyUp'])
      await this.#call('Input.dispatchKeyEvent', { type, key, code: key, windowsVirtualKeyCode: 9 });
  }

  /** A PNG of the page, or of a part of it. */
  async picture(part?: { x: number; y: number; width: number; height: number }): Promise<Buffer> {
    const clip = part === undefined ? {} : { clip: { ...part, scale: 1 } };
    const { data } = await this.#call('Page.captureScreenshot', { captureBeyondViewport: true, ...clip });
    return Buffer.from(data as string, 'base64');
  }

  /** A PDF, as it is printed. */
  async print(): Promise<Buffer> {
    const { data } = await this.#call('Page.printToPDF', { printBackground: true });
    return Buffer.from(data as string, 'base64');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exit = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await exit;
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  async #call(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = (this.#calls += 1);
    const answer = Promise.withResolvers<Record<string, unknown>>();
    this.#waiting.set(id, answer);
    const late = setTimeout(() => answer.reject(new Error(`chromium did not answer ${method}`)), ANSWER_MS);
    const message = { id, method, params, ...(this.#session === undefined ? {} : { sessionId: this.#session }) };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(late);
      this.#waiting.delete(id);
    }
  }

  #take({ id, method, params = {}, result, error }: Message): void {
    if (id !== undefined) {
      if (error === undefined) this.#waiting.get(id)?.resolve(result ?? {});
      else this.#waiting.get(id)?.reject(new Error(error.message));
    } else if (method === 'Page.loadEventFired') this.#loaded.shift()?.();
    else if (method === 'Network.requestWillBeSent') this.requests.push((params['request'] as { url: string }).url);
    else if (
      method === 'Log.entryAdded' ||
      method === 'Runtime.consoleAPICalled' ||
      method === 'Runtime.exceptionThrown'
    )
      this.complaints.push(JSON.stringify(params));
  }
}
