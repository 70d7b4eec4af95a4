import { MAX_REPOSITORIES, SETTINGS, type Setting } from './settings.ts';

/** One setting as it can be written: `s3_endpoint` belongs to repository 1, `repo2_s3_endpoint` to repository 2. */
export interface NamedSetting {
  name: string;
  setting: Setting;
  /** Which repository it belongs to; `undefined` for settings that exist once. */
  repository: number | undefined;
}

const BY_NAME: ReadonlyMap<string, NamedSetting> = new Map(allSettings().map((named) => [named.name, named]));

/** The setting of that name, `repo2`, `repo2_s3_endpoint` and their like included. */
export function findSetting(name: string): NamedSetting | undefined {
  return BY_NAME.get(name);
}

/** Every name a setting can have, in the table's order. */
export function settingNames(): readonly NamedSetting[] {
  return [...BY_NAME.values()];
}

/** `repo2_s3_endpoint` → `--repo2-s3-endpoint`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll('_', '-')}`;
}

/** `repo2_s3_endpoint` → `WALHOLD_REPO2_S3_ENDPOINT`. */
export function variableOf(name: string): string {
  return `WALHOLD_${name.toUpperCase()}`;
}

/** The variables of all of them, in that order. */
export function settingVariables(): readonly string[] {
  return settingNames().map(({ name }) => variableOf(name));
}

/** The name that the operator most likely meant, for a hint. */
export function nearestSetting(name: string): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const known of BY_NAME.keys()) {
    const distance = editDistance(name, known, least);
    if (distance < least) {
      least = distance;
      best = known;
    }
  }
  return best;
}

function allSettings(): NamedSetting[] {
  const named: NamedSetting[] = [];
  for (const setting of SETTINGS) {
    const own = setting.perRepository === true || setting.type.kind === 'repository';
    named.push({ name: setting.name, setting, repository: own ? 1 : undefined });
    for (let number = 2; own && number <= MAX_REPOSITORIES; number++) {
      const name = setting.type.kind === 'repository' ? `repo${number}` : `repo${number}_${setting.name}`;
      named.push({ name, setting, repository: number });
    }
  }
  return named;
}

/** Levenshtein's distance, given up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? limit;
}
