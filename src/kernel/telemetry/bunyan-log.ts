/** The Log bound to bunyan: one JSON line an event, on standard output unless told otherwise. */
import type { Writable } from 'node:stream';
import bunyan from 'bunyan';
import type { Log, LogFields } from '../runtime/log.js';
import { SystemClock } from '../runtime/system-clock.js';
import { GatheredLines } from './gathered-lines.js';
import { redactedMembersJson, redactFields, redactText } from './redaction.js';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** What bunyan itself writes on a line: a field of that name would forge it. */
const RESERVED = new Set(['v', 'level', 'name', 'hostname', 'pid', 'time', 'msg', 'src']);

/** Bunyan's version of the shape of a line. */
const LINE_VERSION = 0;
const CLOCK = new SystemClock();

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
  return new BunyanLog({ logger, stream, flush: () => lines?.flush() }, safe(options.fields ?? {}));
}

interface LogParts {
  readonly logger: bunyan;
  /** The logger's own. */
  readonly stream: Writable;
  /** From a warning on, a line must be out before what it warns of can end the process. */
  readonly flush: () => void;
}

class BunyanLog implements LeveledLog {
  readonly #logger: bunyan;
  readonly #head: string;
  readonly #members: string;

  constructor(
    private readonly parts: LogParts,
    private readonly fields: Record<string, unknown>,
  ) {
    this.#logger = parts.logger;
    const { name, hostname, pid } = parts.logger.fields as Record<string, unknown>;
    this.#head = `${JSON.stringify({ name, hostname, pid, level: bunyan.INFO }).slice(0, -1)},`;
    this.#members = redactedMembersJson(fields);
  }

  trace(fields: LogFields, event: string): void {
    if (this.#logger.trace()) this.#logger.trace(this.#line(fields), redactText(event));
  }

  debug(fields: LogFields, event: string): void {
    if (this.#logger.debug()) this.#logger.debug(this.#line(fields), redactText(event));
  }

  info(fields: LogFields, event: string): void {
    if (!this.#logger.info()) return;
    if (this.#clashes(fields)) this.#logger.info(this.#line(fields), redactText(event));
    else this.parts.stream.write(this.#text(fields, event));
  }

  warn(fields: LogFields, event: string): void {
    this.#logger.warn(this.#line(fields), redactText(event));
    this.parts.flush();
  }

  error(fields: LogFields, event: string): void {
    this.#logger.error(this.#line(fields), redactText(event));
    this.parts.flush();
  }

  fatal(fields: LogFields, event: string): void {
    this.#logger.fatal(this.#line(fields), redactText(event));
    this.parts.flush();
  }

  /** Shares the logger, so that a change of the level reaches it. */
  child(fields: LogFields): Log {
    return new BunyanLog(this.parts, { ...this.fields, ...safe(fields) });
  }

  setLevel(level: LogLevel): void {
    this.#logger.level(level);
  }

  /** True when a field has a name that the line already has. */
  #clashes(fields: LogFields): boolean {
    for (const name of Object.keys(fields)) if (RESERVED.has(name) || name in this.fields) return true;
    return false;
  }

  /** The line bunyan would write, without its copies of the record. */
  #text(fields: LogFields, event: string): string {
    const members = `${redactedMembersJson(fields)}${this.#members}`;
    const time = timeText(CLOCK.now());
    return `${this.#head}${members}"msg":${JSON.stringify(redactText(event))},"time":"${time}","v":${LINE_VERSION}}\n`;
  }

  #line(fields: LogFields): Record<string, unknown> {
    const line = safe(fields);
    for (const name in this.fields) line[name] ??= this.fields[name];
    return line;
  }
}

/** Many lines come in one millisecond. */
const lastTime = { at: Number.NaN, text: '' };

function timeText(at: number): string {
  if (at !== lastTime.at) {
    lastTime.at = at;
    lastTime.text = new Date(at).toISOString();
  }
  return lastTime.text;
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
