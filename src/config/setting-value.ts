import { isAbsolute } from 'node:path';
import { WalholdError } from '../base/errors.ts';
import { parseSize, parseTime } from '../postgres/units.ts';
import { parseWalName } from '../postgres/wal-name.ts';
import { findSetting } from './setting-name.ts';
import type { SettingType } from './settings.ts';

export type SettingValue = { ok: true; value: string | number | boolean } | { ok: false; message: string };

/**
 * What a setting's text comes to: bytes and milliseconds as numbers, switches as booleans, the rest as it stands. A duration
 * without a unit is in seconds, a size without one in bytes. The message says what is wrong, without naming the setting.
 */
export function parseSettingValue(type: SettingType, text: string): SettingValue {
  switch (type.kind) {
    case 'text':
    case 'repository':
      return text === '' ? bad('it is empty') : { ok: true, value: text };
    case 'wal-file':
      return namesWal(text) ? { ok: true, value: text } : bad(`"${text}" is no name of a segment or a history file`);
    case 'path':
      if (text === '') return bad('it is empty');
      return type.absolute === true && !isAbsolute(text) ? bad(`"${text}" is not absolute`) : { ok: true, value: text };
    case 'boolean':
      return parseBoolean(text);
    case 'choice':
      return type.of.includes(text) ? { ok: true, value: text } : bad(`"${text}" is not one of ${type.of.join(', ')}`);
    case 'integer':
      return /^[+-]?\d{1,9}$/.test(text)
        ? within(Number(text), type.min, type.max, String)
        : bad(`"${text}" is not a whole number`);
    case 'bytes': {
      const size = parseSize(text, 'B');
      return size.ok ? within(size.value, type.min, type.max, (n) => `${n} bytes`) : bad(size.message);
    }
    case 'duration': {
      const time = parseTime(text, 's');
      return time.ok ? within(time.value, type.minMs, type.maxMs, (n) => `${n} ms`) : bad(time.message);
    }
  }
}

/** The value of the setting of that name (`repo2_s3_endpoint` too), whose type is the caller's to know. Throws `config`. */
export function settingValue<T extends string | number | boolean>(name: string, text: string): T {
  const parsed = parseSettingValue(findSetting(name)?.setting.type ?? { kind: 'text' }, text);
  if (!parsed.ok) throw new WalholdError('config', `bad value for ${name}`, { detail: parsed.message });
  return parsed.value as T;
}

function namesWal(text: string): boolean {
  const kind = parseWalName(text)?.kind;
  return kind === 'segment' || kind === 'history';
}

function parseBoolean(text: string): SettingValue {
  const lower = text.toLowerCase();
  if (['on', 'true', 'yes', '1'].includes(lower)) return { ok: true, value: true };
  if (['off', 'false', 'no', '0'].includes(lower)) return { ok: true, value: false };
  return bad(`"${text}" is neither on nor off`);
}

function within(value: number, min: number, max: number, show: (value: number) => string): SettingValue {
  if (value < min) return bad(`${show(value)} is less than the least, ${show(min)}`);
  if (value > max) return bad(`${show(value)} is more than the most, ${show(max)}`);
  return { ok: true, value };
}

function bad(message: string): SettingValue {
  return { ok: false, message };
}
