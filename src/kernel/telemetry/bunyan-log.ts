/** The Log bound to bunyan: one JSON line an event, on standard output unless told otherwise. */
import type { Writable } from 'node:stream';
import bunyan from 'bunyan';
import type { Log, LogFields } from '../runtime/log.js';
import { GatheredLines } from './gathered-lines.js';
import { redactFields, redactText } from './redaction.js';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** What bunyan itself writes on a line: a field of that name would forge it. */
const RESERVED = new Set(['v', 'level', 'name', 'hostname', 'pid', 'time', 'msg', 'src']);

export interface LogOptions {
  readonly level: LogLevel;
  /** On every line: the process's role, its slot. */
  readonly fields?: LogFields;
  readonly stream?: Writable;
}

export interface LeveledLog extends Log {
  /** For a reload; the children follow. */
  setLevel(level: LogLevel): void;
}

export function createLog(options: LogOptions): LeveledLog {
  const target = options.stream ?? process.stdout;
  // Whoever read the log went away. That must not stop a gateway that trades.
  target.on('error', () => undefined);
  const lines = options.stream === undefined ? new GatheredLines(target) : undefined;
  if (lines !== undefined) process.on('exit', () => lines.flush());
  const stream = (lines ?? target) as Writable;
  const logger = bunyan.createLogger({ name: 'opitios', level: options.level, stream });
  return new BunyanLog(logger, safe(options.fields ?? {}), () => lines?.flush());
}

class BunyanLog implements LeveledLog {
  constructor(
    private readonly logger: bunyan,
    private readonly fields: LogFields,
    /** From a warning on, a line must be out before what it warns of can end the process. */
    private readonly flush: () => void,
  ) {}

  trace(fields: LogFields, event: string): void {
    if (this.logger.trace()) this.logger.trace(this.#line(fields), redactText(event));
  }

  debug(fields: LogFields, event: string): void {
    if (this.logger.debug()) this.logger.debug(this.#line(fields), redactText(event));
  }

  info(fields: LogFields, event: string): void {
    if (this.logger.info()) this.logger.info(this.#line(fields), redactText(event));
  }

  warn(fields: LogFields, event: string): void {
    this.logger.warn(this.#line(fields), redactText(event));
    this.flush();
  }

  error(fields: LogFields, event: string): void {
    this.logger.error(this.#line(fields), redactText(event));
    this.flush();
  }

  fatal(fields: LogFields, event: string): void {
    this.logger.fatal(this.#line(fields), redactText(event));
    this.flush();
  }

  /** Shares the logger, so that a change of the level reaches it. */
  child(fields: LogFields): Log {
    return new BunyanLog(this.logger, { ...this.fields, ...safe(fields) }, this.flush);
  }

  setLevel(level: LogLevel): void {
    this.logger.level(level);
  }

  #line(fields: LogFields): Record<string, unknown> {
    const line = safe(fields);
    for (const name in this.fields) line[name] ??= this.fields[name];
    return line;
  }
}

function safe(fields: LogFields): Record<string, unknown> {
  const redacted = redactFields(fields);
  for (const name of RESERVED) {
    if (!Object.hasOwn(redacted, name)) continue;
    redacted[`${name}_`] = redacted[name];
    Reflect.deleteProperty(redacted, name);
  }
  return redacted;
}
