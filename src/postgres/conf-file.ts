/** One `name = value` of a configuration file. */
export interface ConfEntry {
  /** In lower case: PostgreSQL's names have none. */
  readonly name: string;
  /** Without quotes and escapes. */
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

/** A directive that names other files. Reported, never followed: following needs I/O. */
export interface ConfInclude {
  readonly directive: 'include' | 'include_if_exists' | 'include_dir';
  readonly path: string;
  readonly line: number;
}

export interface ConfError {
  readonly line: number;
  readonly message: string;
}

/** A whole file: what could be read, and what could not. With the same name twice the last one counts, as in PostgreSQL. */
export interface ConfFile {
  readonly entries: readonly ConfEntry[];
  readonly includes: readonly ConfInclude[];
  readonly errors: readonly ConfError[];
}

type TokenKind = 'id' | 'qualified-id' | 'string' | 'unquoted' | 'integer' | 'real' | 'equals' | 'error';
interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const LETTER = '[A-Za-z_\\u0080-\\uffff]';
const LETTER_OR_DIGIT = '[A-Za-z_0-9\\u0080-\\uffff]';
const ID = `${LETTER}${LETTER_OR_DIGIT}*`;

/** The patterns of guc-file.l in its order: the longest match wins, the earlier of two equally long ones. */
const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ['id', new RegExp(ID, 'y')],
  ['qualified-id', new RegExp(`${ID}\\.${ID}`, 'y')],
  ['string', /'(?:[^'\\]|\\.|'')*'/y],
  ['unquoted', new RegExp(`${LETTER}(?:${LETTER_OR_DIGIT}|[-._:/])*`, 'y')],
  ['integer', /[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)[a-zA-Z]*/y],
  ['real', /[-+]?[0-9]*\.[0-9]*(?:[Ee][-+]?[0-9]+)?/y],
  ['equals', /=/y],
];
const BLANK_OR_COMMENT = /(?:[ \t\r]+|#.*)*/y;
const MOST_ERRORS = 100;
const INCLUDES: ReadonlySet<string> = new Set(['include', 'include_if_exists', 'include_dir']);
const VALUES: ReadonlySet<TokenKind> = new Set(['id', 'string', 'integer', 'real', 'unquoted']);

/**
 * Reads a file in the syntax of postgresql.conf (utils/misc/guc-file.l): `name = value` or `name value`, `#` comments,
 * values in quotes with `''` and backslash escapes. A wrong line is reported and passed over; after 100 it stops. The
 * names and the values' meaning are not judged here.
 */
export function parseConf(text: string): ConfFile {
  const entries: ConfEntry[] = [];
  const includes: ConfInclude[] = [];
  const errors: ConfError[] = [];
  const lines = text.split('\n');
  for (const [index, content] of lines.entries()) {
    const line = index + 1;
    const tokens = tokenize(content);
    if (tokens.length === 0) continue;
    const setting = settingOf(tokens);
    if ('message' in setting) {
      errors.push({ line, message: setting.message });
      if (errors.length === MOST_ERRORS) break;
    } else if (isInclude(setting.name)) {
      includes.push({ directive: setting.name, path: setting.value, line });
    } else {
      entries.push({ ...setting, line });
    }
  }
  return { entries, includes, errors };
}

function settingOf(tokens: readonly Token[]): { name: string; value: string } | { message: string } {
  const [name, ...rest] = tokens;
  if (name === undefined || (name.kind !== 'id' && name.kind !== 'qualified-id')) return nearToken(name);
  const [value, extra] = rest[0]?.kind === 'equals' ? rest.slice(1) : rest;
  if (value === undefined || !VALUES.has(value.kind)) return nearToken(value);
  if (extra !== undefined) return nearToken(extra);
  return { name: name.text.toLowerCase(), value: value.kind === 'string' ? unquote(value.text) : value.text };
}

function nearToken(token: Token | undefined): { message: string } {
  if (token === undefined) return { message: 'syntax error near end of line' };
  const shown = token.text.length > 40 ? `${token.text.slice(0, 40)}...` : token.text;
  return { message: `syntax error near "${shown}"` };
}

/** Four tokens decide any line, so the rest of a long one is not read. */
function tokenize(line: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (tokens.length < 4) {
    BLANK_OR_COMMENT.lastIndex = at;
    at += BLANK_OR_COMMENT.exec(line)?.[0].length ?? 0;
    if (at >= line.length) break;
    const token = longestAt(line, at);
    tokens.push(token);
    if (token.kind === 'error') break;
    at += token.text.length;
  }
  return tokens;
}

function longestAt(line: string, at: number): Token {
  let best: Token = { kind: 'error', text: line.slice(at, at + 1) };
  let length = 0;
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const text = pattern.exec(line)?.[0];
    if (text === undefined || text.length <= length) continue;
    best = { kind, text };
    length = text.length;
  }
  return best;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** DeescapeQuotedString: `''` is a quote, `\n` and its kin, octal bytes, any other escaped character is itself. */
function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/''|\\([0-7]{1,3}|.)/g, (_, escaped: string | undefined) => {
    if (escaped === undefined) return "'";
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff);
    return ESCAPES[escaped] ?? escaped;
  });
}

function isInclude(name: string): name is ConfInclude['directive'] {
  return INCLUDES.has(name);
}

/**
 * A value in quotes as PostgreSQL reads it back. Line breaks are escaped: the syntax has no values over several lines.
 * Throws a RangeError for a zero byte, which no setting can hold.
 */
export function quoteConfValue(value: string): string {
  if (value.includes('\0')) throw new RangeError('a setting cannot hold a zero byte');
  const escaped = value.replace(/['\\\n\r]/g, (c) => {
    if (c === '\n') return '\\n';
    if (c === '\r') return '\\r';
    return c + c;
  });
  return `'${escaped}'`;
}
