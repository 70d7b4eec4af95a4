import { createHash } from 'node:crypto';
import { describe, expect, it, test } from 'vitest';
import { manifestPath, ManifestWriter, type ManifestFile } from '../../../src/postgres/backup-manifest.ts';
import { lsn } from '../../../src/postgres/lsn.ts';
import { parseManifest } from '../../../src/postgres/manifest-reader.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';

const SHA = createHash('sha256').update('x').digest('hex');
const FILES: ManifestFile[] = [
  { path: 'backup_label', size: 225, modifiedAt: 1_585_665_603.9, sha256: SHA },
  { path: 'base/1/"quoted"\\\n\u0001ü', size: 0, modifiedAt: 0, sha256: SHA },
  { path: Buffer.from([0x62, 0xff, 0x2f, 0x63]), size: 2 ** 40, modifiedAt: 1_795_378_766, sha256: SHA },
];
const RANGES = [
  { timeline: timelineId(2), startLsn: lsn(0x3000000n), endLsn: lsn(0x3000100n) },
  { timeline: timelineId(1), startLsn: lsn(0x2000028n), endLsn: lsn(0x3000000n) },
];

function write(systemId?: bigint, files = FILES, ranges = RANGES): string {
  const writer = new ManifestWriter();
  return writer.head(systemId) + files.map((file) => writer.file(file)).join('') + writer.tail(ranges);
}

/** With the checksum made to fit, so that only the change is judged. */
function sealed(body: string): Buffer {
  const sum = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}"Manifest-Checksum": "${sum}"}\n`);
}

function body(text: string): string {
  return text.slice(0, text.indexOf('"Manifest-Checksum"'));
}

describe('a manifest', () => {
  it('is written in the layout of PostgreSQL', () => {
    const text = write(7_123_456_789_012_345_678n, FILES.slice(0, 2), RANGES.slice(1));
    expect(text.split('\n').slice(0, -2)).toEqual([
      '{ "PostgreSQL-Backup-Manifest-Version": 2,',
      '"System-Identifier": 7123456789012345678,',
      '"Files": [',
      `{ "Path": "backup_label", "Size": 225, "Last-Modified": "2020-03-31 14:40:03 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "${SHA}" },`,
      String.raw`{ "Path": "base/1/\"quoted\"\\\n\u0001ü", "Size": 0, "Last-Modified": "1970-01-01 00:00:00 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "${SHA}" }`,
      '],',
      '"WAL-Ranges": [',
      '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/3000000" }',
      '],',
    ]);
    expect(JSON.parse(text)).toHaveProperty('Manifest-Checksum', createHash('sha256').update(body(text)).digest('hex'));
  });

  test.each([undefined, 7_123_456_789_012_345_679n])('is read back whole, with system identifier %s', (systemId) => {
    expect(parseManifest(Buffer.from(write(systemId)))).toEqual({
      version: systemId === undefined ? 1 : 2,
      systemId,
      files: FILES.map(({ path, size, modifiedAt, sha256 }) => ({
        path,
        size,
        modifiedAt: Math.floor(modifiedAt),
        checksum: { algorithm: 'SHA256', hex: sha256 },
      })),
      walRanges: RANGES,
    });
  });

  it('without files and without WAL is read back too', () => {
    expect(parseManifest(Buffer.from(write(undefined, [], [])))).toMatchObject({ files: [], walRanges: [] });
  });

  it('may have no checksum for a file, or another kind', () => {
    const text = body(write(undefined, FILES.slice(0, 1), RANGES));
    const none = parseManifest(sealed(text.replace(/, "Checksum-Algorithm.*" }/, ' }')));
    expect(none.files[0]?.checksum).toBeUndefined();
    const crc = parseManifest(sealed(text.replace('SHA256', 'CRC32C').replace(SHA, '1234ABCD')));
    expect(crc.files[0]?.checksum).toEqual({ algorithm: 'CRC32C', hex: '1234abcd' });
  });

  it('has paths as text wherever their bytes are UTF-8', () => {
    expect(manifestPath(Buffer.from('base/ü'))).toBe('base/ü');
    expect(manifestPath(Buffer.from([0xc3]))).toEqual(Buffer.from([0xc3]));
    const encoded = sealed(
      body(write()).replace('"Path": "backup_label"', `"Encoded-Path": "${Buffer.from('a/ü').toString('hex')}"`),
    );
    expect(parseManifest(encoded).files[0]?.path).toBe('a/ü');
  });

  it('with any bit flipped is damaged or refused', () => {
    const good = Buffer.from(write(1n, FILES.slice(0, 1)));
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(at) ^ 0x02, at);
      expect(() => parseManifest(bad), `byte ${at}`).toThrow(/backup_manifest/);
    }
  });

  it('says both checksums where they differ', () => {
    const bad = Buffer.from(write().replace('225', '226'));
    expect(() => parseManifest(bad)).toThrow(
      expect.objectContaining({
        code: 'damaged',
        detail: expect.stringMatching(/^it says [0-9a-f]{64}, its bytes have [0-9a-f]{64}$/),
      }),
    );
  });

  const path = '"backup_label"';
  test.each<[string, (text: string) => string, string]>([
    ['an absolute path', (t) => t.replace(path, '"/etc/passwd"'), 'line 3 is refused: its path is absolute'],
    ['a way out', (t) => t.replace(path, '"base/../../x"'), 'line 3 is refused: its path contains ".."'],
    [
      'a zero byte in a path',
      (t) => t.replace(path, String.raw`"a\u0000b"`),
      'line 3 is refused: its path contains a zero byte',
    ],
    [
      'half a character in a path',
      (t) => t.replace(path, String.raw`"a\ud800"`),
      'line 3 is refused: its path is not valid text',
    ],
    ['an empty path', (t) => t.replace(path, '""'), 'line 3 is refused: its path is empty'],
    [
      'a way out in an encoded path',
      (t) => t.replace(`"Path": ${path}`, `"Encoded-Path": "${Buffer.from('../\xff', 'latin1').toString('hex')}"`),
      'line 3 is refused: its path contains ".."',
    ],
    [
      'an encoded path that is none',
      (t) => t.replace(`"Path": ${path}`, '"Encoded-Path": "abc"'),
      'line 3 needs either a Path or an Encoded-Path',
    ],
    [
      'both paths',
      (t) => t.replace('{ "Path"', '{ "Encoded-Path": "61", "Path"'),
      'line 3 needs either a Path or an Encoded-Path',
    ],
    ['no path', (t) => t.replace(`"Path": ${path}, `, ''), 'line 3 needs either a Path or an Encoded-Path'],
    ['a path twice', (t) => t.replace(/"base.*?ü"/, path), 'line 4 names a path for the second time'],
    ['a negative size', (t) => t.replace('225', '-1'), 'line 3 has no valid Size'],
    ['an absurd size', (t) => t.replace('225', '1e300'), 'line 3 has no valid Size'],
    ['a size in text', (t) => t.replace('225', '"225"'), 'line 3 has no valid Size'],
    ['no date', (t) => t.replace('2020-03-31', '2020-13-31'), 'line 3 has no valid Last-Modified'],
    ['an unknown checksum', (t) => t.replace('SHA256', 'MD5'), 'line 3 has no valid Checksum'],
    ['a short checksum', (t) => t.replace(SHA, SHA.slice(2)), 'line 3 has a Checksum that is no SHA256'],
    ['an unknown field', (t) => t.replace('"Size"', '"Mode": 7, "Size"'), 'line 3 has the unknown field "Mode"'],
    ['a prototype', (t) => t.replace('"Size"', '"__proto__": {}, "Size"'), 'line 3 has the unknown field "__proto__"'],
    ['a line that is no JSON', (t) => t.replace('{ "Path"', '{ Path'), 'line 3 is not JSON'],
    ['a line that is a list', (t) => t.replace(/\{ "Path".*\},/, '[],'), 'line 3 is not a JSON object'],
    ['a line of 100 kB', (t) => t.replace('label', 'l'.repeat(100_000)), 'line 3 is too long'],
    ['another version', (t) => t.replace('Version": 1', 'Version": 3'), 'its version is 3, known here are 1 and 2'],
    ['no version', (t) => t.replace('PostgreSQL', 'Postgres'), 'line 1 is not that of a backup manifest'],
    ['version 2 without a system', (t) => t.replace('Version": 1', 'Version": 2'), 'line 2 is not a system identifier'],
    ['no list of files', (t) => t.replace('"Files"', '"Fils"'), 'line 2 is not "Files": ['],
    ['files that do not end', (t) => t.slice(0, t.indexOf('],')), 'line 6 is not ],'],
    [
      'a WAL range that runs backwards',
      (t) => t.replace('"0/3000100"', '"0/2FFFFFF"'),
      'line 8 is a WAL range that ends before it starts',
    ],
    ['a WAL range on timeline 0', (t) => t.replace('"Timeline": 2', '"Timeline": 0'), 'line 8 is no valid WAL range'],
    ['a WAL range that is none', (t) => t.replace('"0/3000100"', '"x"'), 'line 8 is no valid WAL range'],
    ['more behind it', (t) => `${t}"Extra": 1,\n`, 'line 11 is not the last one'],
  ])('with %s is refused', (_, spoil, detail) => {
    const text = body(write());
    expect(spoil(text)).not.toBe(text);
    expect(() => parseManifest(sealed(spoil(text)))).toThrow(expect.objectContaining({ code: 'bad-format', detail }));
  });

  test.each<[string, (text: string) => string, string]>([
    ['no last line break', (t) => t.slice(0, -1), 'it does not end with a line break'],
    ['no checksum', body, 'its last line is not the checksum'],
    ['nothing in it', () => '', 'it does not end with a line break'],
    ['one line break in it', () => '\n', 'its last line is not the checksum'],
  ])('with %s is refused before anything else', (_, spoil, detail) => {
    expect(() => parseManifest(Buffer.from(spoil(write())))).toThrow(
      expect.objectContaining({ code: 'bad-format', detail }),
    );
  });
});
