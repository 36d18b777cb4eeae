/** The only place that reads the environment. Nothing secret should be there: /proc shows it for the process's life. */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Override {
  /** `OPITIOS__SERVER__PORT` is `['SERVER', 'PORT']`: the schema decides on the case of each part. */
  readonly path: readonly string[];
  readonly text: string;
  readonly variable: string;
}

export function readEnvironment(): Environment {
  return { ...process.env };
}

/** The configuration keys that the environment sets, in the order of their names so that a run repeats. */
export function overridesFrom(environment: Environment): readonly Override[] {
  return Object.entries(environment)
    .filter(([name, text]) => name.startsWith('OPITIOS__') && text !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([variable, text]) => ({ path: variable.split('__').slice(1), text: text ?? '', variable }));
}

export const DEFAULT_CONFIG_FILE = 'config/opitios.yaml';

/** `--config` wins over `OPITIOS_CONFIG`, which wins over config/opitios.yaml. */
export function configFileFrom(option: string | undefined, environment: Environment): string {
  return option ?? environment['OPITIOS_CONFIG'] ?? DEFAULT_CONFIG_FILE;
}
