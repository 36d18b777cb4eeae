/** The log as its users see it: an event name and fields. Bound to bunyan by kernel/telemetry. */

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  trace(fields: LogFields, event: string): void;
  debug(fields: LogFields, event: string): void;
  info(fields: LogFields, event: string): void;
  warn(fields: LogFields, event: string): void;
  error(fields: LogFields, event: string): void;
  fatal(fields: LogFields, event: string): void;
  /** A log whose every line carries these fields too. */
  child(fields: LogFields): Log;
}

/** For tests and for code that runs before the configuration is read. */
export const silentLog: Log = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  fatal: () => undefined,
  child: () => silentLog,
};
