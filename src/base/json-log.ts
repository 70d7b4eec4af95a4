import { LOG_LEVELS, oneLine, type Log, type LogExtra, type LogLevel } from './log.ts';

/** The JSON form: one object a line with `level`, `program`, `message`, and `detail`, `hint` and fields where there are any. */
export function jsonLog(program: string, level: LogLevel, write: (line: string) => void): Log {
  const admitted = LOG_LEVELS.indexOf(level);
  const emit =
    (severity: LogLevel) =>
    (message: string, extra: LogExtra = {}) => {
      if (LOG_LEVELS.indexOf(severity) > admitted) return;
      const { detail, hint, fields } = extra;
      // Long details are cut, so that the line stays one write and valid JSON.
      const cut = (text: string | undefined): string | undefined => text?.slice(0, 1000);
      write(
        oneLine(
          JSON.stringify({
            level: severity,
            program,
            message: cut(message),
            detail: cut(detail),
            hint: cut(hint),
            ...fields,
          }),
        ),
      );
    };
  return { error: emit('error'), warning: emit('warning'), info: emit('info'), debug: emit('debug') };
}
