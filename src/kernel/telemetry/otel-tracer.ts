/**
 * The Tracer bound to OpenTelemetry, exporting by OTLP over HTTP. Imported only where a collector is configured: the SDK
 * is not even loaded without one. A collector that is away costs spans, never a request: the queue is bounded.
 */
import { ROOT_CONTEXT, SpanKind as OtelKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import type { Context, Span as OtelSpan, Tracer as OtelTracing } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { Span, SpanKind, Tracer } from '../runtime/tracer.js';

export interface OtelTracerOptions {
  /** OTLP/HTTP, with its path: `http://127.0.0.1:4318/v1/traces`. */
  readonly endpoint: string;
  /** Share of the traces that begin here and are recorded, 0 to 1. A caller's own decision counts before it. */
  readonly ratio: number;
  /** On every span: instance, slot, pid. */
  readonly resource: Readonly<Record<string, string | number>>;
}

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  internal: OtelKind.INTERNAL,
};
const EXPORT = {
  maxQueueSize: 4_096,
  maxExportBatchSize: 512,
  scheduledDelayMillis: 1_000,
  exportTimeoutMillis: 5_000,
};
/** https://www.w3.org/TR/trace-context/ version 00; all-zero ids are invalid. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

export class OtelTracer implements Tracer {
  readonly #provider: BasicTracerProvider;
  readonly #tracing: OtelTracing;
  readonly #contexts = new AsyncLocalStorageContextManager();

  constructor(options: OtelTracerOptions) {
    const exporter = new OTLPTraceExporter({ url: options.endpoint, timeoutMillis: EXPORT.exportTimeoutMillis });
    this.#provider = new BasicTracerProvider({
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.ratio) }),
      resource: resourceFromAttributes({ 'service.name': 'opitios', ...options.resource }),
      spanProcessors: [new BatchSpanProcessor(exporter, EXPORT)],
    });
    this.#tracing = this.#provider.getTracer('opitios');
    this.#contexts.enable();
  }

  start(kind: SpanKind, name: string, parent?: string): Span | undefined {
    const context = contextOf(parent) ?? this.#contexts.active();
    if (kind !== 'server' && trace.getSpanContext(context) === undefined) return undefined;
    const span = this.#tracing.startSpan(name, { kind: KINDS[kind] }, context);
    return span.isRecording() ? new RecordedSpan(span) : undefined;
  }

  within<T>(span: Span | undefined, run: () => T): T {
    if (!(span instanceof RecordedSpan)) return run();
    return this.#contexts.with(trace.setSpan(ROOT_CONTEXT, span.recorded), run);
  }

  /** What has ended is exported, or given up after the export's own deadline. Never rejects. */
  async close(): Promise<void> {
    await this.#provider.shutdown().catch(() => undefined);
    this.#contexts.disable();
  }
}

class RecordedSpan implements Span {
  readonly traceparent: string;

  constructor(readonly recorded: OtelSpan) {
    const { traceId, spanId } = recorded.spanContext();
    this.traceparent = `00-${traceId}-${spanId}-01`;
  }

  set(attributes: Readonly<Record<string, string | number | boolean | undefined>>): void {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) this.recorded.setAttribute(name, value);
    }
  }

  end(failure?: string): void {
    if (failure !== undefined) this.recorded.setStatus({ code: SpanStatusCode.ERROR, message: failure });
    this.recorded.end();
  }
}

function contextOf(traceparent: string | undefined): Context | undefined {
  const found = traceparent === undefined ? null : TRACEPARENT.exec(traceparent);
  const [, traceId, spanId, flags] = found ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const traceFlags = Number(`0x${flags}`) & TraceFlags.SAMPLED;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}
