import { WalholdError } from '../base/errors.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { isTimelineId } from '../postgres/timeline.ts';
import { parseIso } from '../postgres/timestamp.ts';
import { isSegmentSize, parseWalName } from '../postgres/wal-name.ts';
import { Fields, isText } from './backup-record-fields.ts';
import { rawParts, readParts, storedFields } from './backup-record-parts.ts';
import {
  MOST_BAD_PAGES,
  type BackupRecord,
  type ConfigRecord,
  type DatabaseRecord,
  type PartRecord,
  type ServerRecord,
} from './backup-record.ts';
import { parseBackupId, typeOfBackup, type BackupId } from './layout.ts';
import { splitRecord } from './record-lines.ts';
import { parseFormat1, provenBody, untrusted } from './sealed-json.ts';

/** A record of two million files is about this long. */
export const RECORD_MAX_BYTES: number = 256 * 1024 * 1024;

const LONGEST_TEXT = 4096;
const MOST_TABLESPACES = 100_000;
const MOST_DATABASES = 1_000_000;
/** NAMEDATALEN, with room for servers that were built with a larger one. */
const LONGEST_NAME = 1024;
const MOST_CONFIG_FILES = 10_000;
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Reads `backup.json` of backup `id`; `object` is for messages. Untrusted input: everything is bounded and checked against
 * everything else here, paths included (`checkRelativePath`). Throws `bad-format`, or `damaged` where its digest does not fit.
 */
export function parseBackupRecord(bytes: Uint8Array, id: BackupId, object: string): BackupRecord {
  if (bytes.length > RECORD_MAX_BYTES) {
    throw new WalholdError('bad-format', `could not trust ${object}`, { detail: `it is ${bytes.length} bytes long` });
  }
  const { fields, parts } = openRecord(bytes, object);
  if (fields.read('id', (value) => (isText(value, 40) ? parseBackupId(value) : undefined)) !== id)
    throw fields.wrong('id');
  const startLsn = readLsn(fields, 'startLsn');
  const stopLsn = readLsn(fields, 'stopLsn');
  if (stopLsn < startLsn) throw fields.wrong('stopLsn');
  return {
    id,
    ...readKind(fields, id),
    label: fields.text('label', LONGEST_TEXT),
    startedAt: readTime(fields, 'startedAt'),
    stoppedAt: readTime(fields, 'stoppedAt'),
    ...(fields.has('keepUntil') ? { keepUntil: readKeep(fields) } : {}),
    startLsn,
    stopLsn,
    timeline: fields.read('timeline', (value) =>
      typeof value === 'number' && isTimelineId(value) ? value : undefined,
    ),
    server: readServer(fields.inner('server')),
    tablespaces: fields.list('tablespaces', MOST_TABLESPACES, (item, where) => {
      const one = new Fields(item, object, where);
      return { oid: one.matching('oid', /^[1-9][0-9]{0,9}$/), path: absolutePath(one, 'path') };
    }),
    ...(fields.has('databases') ? { databases: readDatabases(fields, object) } : {}),
    walRequired: readWal(fields.inner('walRequired')),
    manifest: readManifest(fields.inner('manifest')),
    config: fields.isNull('config') ? undefined : readConfig(fields.inner('config')),
    badPages: fields.list('badPages', MOST_BAD_PAGES, (item, where) => {
      const one = new Fields(item, object, where);
      return { path: one.text('path', LONGEST_TEXT), block: one.number('block') };
    }),
    badPageCount: fields.number('badPageCount'),
    sizeBytes: fields.number('sizeBytes'),
    storedBytes: fields.number('storedBytes'),
    tool: fields.text('tool', 200),
    host: fields.text('host', 300),
    settings: readSettings(fields),
    parts,
  };
}

/** The parts are read by their lines where these are as they are written, since they are by far the most of it. */
function openRecord(bytes: Uint8Array, object: string): { fields: Fields; parts: PartRecord[] } {
  const { whole, body } = provenBody(bytes, object);
  const split = splitRecord(body);
  const fields = new Fields(parseFormat1(split?.rest ?? whole.toString('utf8'), object), object, '');
  try {
    return { fields, parts: readParts(fields, split?.parts ?? rawParts(fields), object) };
  } catch (error) {
    if (error instanceof SyntaxError) throw untrusted(object, 'it is not JSON', 'bad-format', error);
    throw error;
  }
}

/** Nothing that sorts behind a backup can be its parent. */
function readKind(fields: Fields, id: BackupId): Pick<BackupRecord, 'type' | 'parent'> {
  const type = fields.read('type', (value) => (value === typeOfBackup(id) ? typeOfBackup(id) : undefined));
  if (type === 'full') {
    if (!fields.isNull('parent')) throw fields.wrong('parent');
    return { type, parent: undefined };
  }
  const parent = fields.read('parent', (value) => (isText(value, 40) ? parseBackupId(value) : undefined));
  if (parent >= id) throw fields.wrong('parent');
  return { type, parent };
}

function readServer(fields: Fields): ServerRecord {
  const u32 = (name: string): number => fields.number(name, 0, 0xffff_ffff);
  const segmentBytes = u32('segmentBytes');
  if (!isSegmentSize(segmentBytes)) throw fields.wrong('segmentBytes');
  return {
    systemId: BigInt(fields.matching('systemId', /^[0-9]{1,20}$/)),
    version: fields.text('version', 200),
    major: fields.number('major', 13, 1000),
    controlVersion: u32('controlVersion'),
    catalogVersion: u32('catalogVersion'),
    segmentBytes,
    blockBytes: fields.number('blockBytes', 1024, 32 * 1024),
    blocksPerFile: fields.number('blocksPerFile', 1, 0xffff_ffff),
    dataChecksums: fields.flag('dataChecksums'),
    walLogHints: fields.flag('walLogHints'),
    inRecovery: fields.flag('inRecovery'),
    maxConnections: u32('maxConnections'),
    maxWorkerProcesses: u32('maxWorkerProcesses'),
    maxWalSenders: u32('maxWalSenders'),
    maxPreparedXacts: u32('maxPreparedXacts'),
    maxLocksPerXact: u32('maxLocksPerXact'),
  };
}

function readDatabases(fields: Fields, object: string): DatabaseRecord[] {
  const names = new Set<string>();
  return fields.list('databases', MOST_DATABASES, (item, where) => {
    const one = new Fields(item, object, where);
    const name = one.text('name', LONGEST_NAME);
    if (name === '' || names.has(name)) throw one.wrong('name');
    names.add(name);
    return { oid: one.number('oid', 1, 0xffff_ffff), name, template: one.flag('template') };
  });
}

function readWal(fields: Fields): BackupRecord['walRequired'] {
  const segment = (name: string): string => {
    const text = fields.text(name, 24);
    if (parseWalName(text)?.kind !== 'segment') throw fields.wrong(name);
    return text;
  };
  return { first: segment('first'), last: segment('last') };
}

function readManifest(fields: Fields): BackupRecord['manifest'] {
  const sha256 = fields.matching('sha256', SHA256);
  return { sha256, bytes: fields.number('bytes'), storedBytes: fields.number('storedBytes') };
}

function readConfig(fields: Fields): ConfigRecord {
  const file = (name: string): string | undefined => (fields.has(name) ? absolutePath(fields, name) : undefined);
  return {
    ...storedFields(fields),
    configFile: file('configFile'),
    hbaFile: file('hbaFile'),
    identFile: file('identFile'),
    files: fields.list('files', MOST_CONFIG_FILES, (item, where) => {
      if (isText(item, LONGEST_TEXT) && item.startsWith('/')) return item;
      throw fields.wrong(where);
    }),
  };
}

function readSettings(fields: Fields): Record<string, string> {
  return fields.read('settings', (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const entries = Object.entries(value);
    if (entries.length > 200 || !entries.every(([name, one]) => name.length <= 100 && isText(one, LONGEST_TEXT)))
      return undefined;
    return Object.fromEntries(entries) as Record<string, string>;
  });
}

function readLsn(fields: Fields, name: string): BackupRecord['startLsn'] {
  return fields.read(name, (value) => (typeof value === 'string' ? parseLsn(value) : undefined));
}

function readTime(fields: Fields, name: string): string {
  return fields.read(name, (value) => (isText(value, 40) && parseIso(value) !== undefined ? value : undefined));
}

function readKeep(fields: Fields): string {
  return fields.text('keepUntil', 40) === 'forever' ? 'forever' : readTime(fields, 'keepUntil');
}

function absolutePath(fields: Fields, name: string): string {
  return fields.read(name, (value) => (isText(value, LONGEST_TEXT) && value.startsWith('/') ? value : undefined));
}
