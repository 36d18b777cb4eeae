/**
 * Traces as their users see them, so that no layer below telemetry knows OpenTelemetry. Nothing is recorded unless it is
 * configured, and then only requests that a sampler chose: `start` answers undefined for all others.
 */
export type SpanKind = 'server' | 'client' | 'internal';

export interface Span {
  /** W3C trace context of this span: its children name it as their parent. */
  readonly traceparent: string;
  set(attributes: Readonly<Record<string, string | number | boolean | undefined>>): void;
  /** Once. @param failure what went wrong, in a word; absent when nothing did */
  end(failure?: string): void;
}

export interface Tracer {
  /**
   * A child of `parent` or, without it, of the span that runs now. Without either only a `server` span begins: what the
   * gateway does on its own account is not traced.
   */
  start(kind: SpanKind, name: string, parent?: string): Span | undefined;
  /** What `run` begins, also later, is a child of the span. */
  within<T>(span: Span | undefined, run: () => T): T;
}

export const silentTracer: Tracer = { start: () => undefined, within: (_span, run) => run() };

/** Ends the span with the promise; without a span it costs a call. */
export async function traced<T>(
  tracer: Tracer,
  [kind, name, parent]: readonly [kind: SpanKind, name: string, parent?: string | undefined],
  run: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const span = tracer.start(kind, name, parent);
  if (span === undefined) return run(undefined);
  try {
    const value = await tracer.within(span, () => run(span));
    span.end();
    return value;
  } catch (cause) {
    span.end((cause as { readonly code?: string } | undefined)?.code ?? 'failed');
    throw cause;
  }
}

/** The trace id of a `traceparent`, for a log line. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent?.slice(3, 35);
}
