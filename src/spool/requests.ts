import { OPERANDS, type Call } from './call-key.ts';
import type { Role } from './service.ts';
import type { Spool } from './spool.ts';

/** What a call leaves for the worker: whom to serve. */
export interface ServiceRequest extends Pick<Call, 'argv'> {
  role: Role;
  /** Only what belongs to the key. */
  environment: Readonly<Record<string, string>>;
  /** Makes each request another one. */
  at: number;
  /** Of the postmaster that called: see `Call`. */
  run: Call['run'];
}

const noteName = (role: Role): string => `request-${role}`;

/** `environment`: all of it; only `variables` are kept. */
export async function writeRequest(
  spool: Spool,
  { role, argv, environment, at, run }: Omit<ServiceRequest, 'environment'> & Pick<Call, 'environment'>,
  variables: readonly string[],
): Promise<void> {
  const kept = variables.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]]));
  await spool.write(noteName(role), { argv, environment: Object.fromEntries(kept), at, run });
}

/** `undefined`: none that can be read, or of another run of the postmaster. */
export async function readRequest(spool: Spool, role: Role, run: Call['run']): Promise<ServiceRequest | undefined> {
  const note = await spool.read(noteName(role));
  const { argv, environment, at } = note ?? {};
  if (JSON.stringify(note?.['run']) !== JSON.stringify(run)) return undefined;
  if (!Array.isArray(argv) || !argv.every(isText) || argv.length < OPERANDS[`walhold-${role}`]) return undefined;
  if (typeof environment !== 'object' || environment === null || typeof at !== 'number') return undefined;
  if (!Object.values(environment).every(isText)) return undefined;
  return { role, argv, environment: environment as Record<string, string>, at, run };
}

/** So that no later worker serves what nobody may ask for any more. */
export async function takeRequest(spool: Spool, role: Role, run: Call['run']): Promise<ServiceRequest | undefined> {
  const request = await readRequest(spool, role, run);
  await spool.remove(noteName(role));
  return request;
}

const UNSERVED = 'unserved';

/** When another worker may be tried, where what stood against one can be mended. */
const AGAIN_AFTER_MS = 60_000;

/** A worker found that it cannot serve here: no other need be started for this run of the postmaster, or, with `at`, for a minute. */
export async function noteUnserved(spool: Spool, run: Call['run'], at?: number): Promise<void> {
  await spool.write(UNSERVED, { run: run.join('\n'), ...(at === undefined ? {} : { at }) });
}

export async function isUnserved(spool: Spool, run: Call['run'], now: number): Promise<boolean> {
  const note = await spool.read(UNSERVED);
  if (note?.['run'] !== run.join('\n')) return false;
  const { at } = note;
  return typeof at !== 'number' || (at <= now && now - at < AGAIN_AFTER_MS);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
