/** All documents of a YAML text. */
import { loadAll } from 'js-yaml';

export function parseAllYaml(text: string): readonly unknown[] {
  return loadAll(text);
}
