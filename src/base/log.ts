/** Log levels in PostgreSQL's words, most severe first. */
export const LOG_LEVELS = ['error', 'warning', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Structured companions of a message; shown by the JSON format only. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/**
 * Where diagnostics go: stderr, one line per write. `detail` and `hint` are lines of their own, as in PostgreSQL's front-end
 * programs. A routine push logs nothing above `debug`.
 */
export interface Log {
  error(message: string, extra?: LogExtra): void;
  warning(message: string, extra?: LogExtra): void;
  info(message: string, extra?: LogExtra): void;
  debug(message: string, extra?: LogExtra): void;
}

export interface LogExtra {
  detail?: string | undefined;
  hint?: string | undefined;
  fields?: LogFields;
}

const LINE_BYTES = 4000;

/** The text form: `walhold-push: error: …`, then `walhold-push: detail: …`, `walhold-push: hint: …`. */
export function textLog(program: string, level: LogLevel, write: (line: string) => void): Log {
  const admitted = LOG_LEVELS.indexOf(level);
  const emit = (severity: LogLevel) => (message: string, extra?: LogExtra) => {
    if (LOG_LEVELS.indexOf(severity) > admitted) return;
    write(oneLine(`${program}: ${severity}: ${message}`));
    if (extra?.detail !== undefined) write(oneLine(`${program}: detail: ${extra.detail}`));
    if (extra?.hint !== undefined) write(oneLine(`${program}: hint: ${extra.hint}`));
  };
  return { error: emit('error'), warning: emit('warning'), info: emit('info'), debug: emit('debug') };
}

/** One line under 4 kB: pipes write that much at once, so lines of several processes never mix. */
export function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- a name from a hostile repository must not move the operator's cursor
  const flat = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trimEnd();
  return flat.length > LINE_BYTES ? `${flat.slice(0, LINE_BYTES)}…\n` : `${flat}\n`;
}

/** A log that keeps nothing, for tests and for `--quiet` inner calls. */
export const SILENT: Log = { error() {}, warning() {}, info() {}, debug() {} };
