import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Section } from './figures.ts';
import { writeSection } from './results-file.ts';
import { sectionJson, sectionText } from './section-report.ts';

export interface Written {
  /** The file of results. */
  output: string;
  /** The folder of the JSON files. */
  json: string;
}

/** A section's text and, beside it, every value in a JSON file of the section's name. */
export async function writeResults(section: Section, { output, json }: Written): Promise<void> {
  await writeSection(output, section.name, sectionText(section));
  await mkdir(json, { recursive: true });
  await writeFile(join(json, `${section.name}.json`), sectionJson(section));
}
