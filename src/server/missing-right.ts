/** SQLSTATE `insufficient_privilege` (errcodes.txt). */
const INSUFFICIENT_PRIVILEGE = '42501';
const FUNCTION = /^permission denied for function ([a-z_0-9]{1,63})$/;

/** What gives a user the right that a query lacked; `undefined`: it lacked none. The function's name alone does, where there is but one of that name. */
export function missingRightHint(error: unknown, user: string): string | undefined {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code !== INSUFFICIENT_PRIVILEGE) return undefined;
  const [, name] = FUNCTION.exec(String(message)) ?? [];
  if (name === undefined) return 'Connect as a superuser, or as a member of pg_monitor.';
  const grant = `grant execute on function ${name} to "${user.replaceAll('"', '""')}"`;
  return `As a superuser, in this database: ${grant}`;
}
