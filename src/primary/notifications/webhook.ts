/**
 * Posts alerts to one webhook, in their order, at a bounded rate and with a bounded patience. What the rate holds back is
 * merged with what comes meanwhile, so that the last state of a condition is always told. The address is a password: only
 * its origin reaches the log.
 */
import type { WebhookConfig } from '../../kernel/config/gateway-config.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { Alert, AlertChange } from './alert-board.js';
import { CONDITIONS, type ConditionName } from './conditions.js';

export interface WebhookPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly fetch: typeof fetch;
}

/** Messages in a window. Conditions are few: more than this is a flutter. */
const MESSAGES_MAX = 10;
const WINDOW_MS = 60_000;
const ATTEMPT_MS = 5_000;
const RETRY_AFTER_MS = [1_000, 5_000, 15_000];
/** Named in a message; the rest are counted. */
const SUBJECTS_SHOWN = 20;

interface Waiting {
  readonly firing: Map<string, Alert>;
  readonly resolved: Map<string, Alert>;
}

export class Webhook {
  readonly #waiting = new Map<ConditionName, Waiting>();
  readonly #sentAt: number[] = [];
  readonly #stop = new AbortController();
  #sending: Promise<void> | undefined;

  constructor(
    private readonly config: WebhookConfig,
    private readonly instanceId: string,
    private readonly ports: WebhookPorts,
  ) {}

  tell(changes: readonly AlertChange[]): void {
    if (this.#stop.signal.aborted) return;
    for (const change of changes) this.#note(change);
    if (this.#waiting.size > 0) this.#sending ??= this.#send().finally(() => (this.#sending = undefined));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#sending;
  }

  #note({ event, condition, alerts }: AlertChange): void {
    const waiting = this.#waiting.get(condition) ?? { firing: new Map(), resolved: new Map() };
    this.#waiting.set(condition, waiting);
    for (const alert of alerts) {
      // What began and ended while nobody could be told needs no telling; what ended and began again still burns.
      const isUntold =
        event === 'resolved' ? waiting.firing.delete(alert.subject) : waiting.resolved.delete(alert.subject);
      if (!isUntold) waiting[event].set(alert.subject, alert);
    }
    if (waiting.firing.size + waiting.resolved.size === 0) this.#waiting.delete(condition);
  }

  async #send(): Promise<void> {
    for (;;) {
      await this.#untilAllowed();
      const [next] = this.#waiting;
      if (next === undefined || this.#stop.signal.aborted) return;
      const [condition, { firing, resolved }] = next;
      this.#waiting.delete(condition);
      if (firing.size > 0) await this.#post({ event: 'firing', condition, alerts: [...firing.values()] });
      if (resolved.size > 0) await this.#post({ event: 'resolved', condition, alerts: [...resolved.values()] });
    }
  }

  async #untilAllowed(): Promise<void> {
    const { clock } = this.ports;
    const from = clock.monotonicMs() - WINDOW_MS;
    while (this.#sentAt[0] !== undefined && this.#sentAt[0] <= from) this.#sentAt.shift();
    const [oldest] = this.#sentAt;
    if (oldest !== undefined && this.#sentAt.length >= MESSAGES_MAX)
      await clock.sleep(oldest + WINDOW_MS - clock.monotonicMs(), this.#stop.signal);
  }

  async #post(change: AlertChange): Promise<void> {
    const { clock, log, meter } = this.ports;
    this.#sentAt.push(clock.monotonicMs());
    const body = JSON.stringify(
      this.config.shape === 'slack' ? slackBody(change, this.instanceId) : jsonBody(change, this.instanceId),
    );
    let why = '';
    for (const retryMs of [0, ...RETRY_AFTER_MS]) {
      if (retryMs > 0) await clock.sleep(retryMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      why = await this.#attempt(body);
      if (why === '') {
        meter.count('opitios_notifications_total', { result: 'sent' });
        return;
      }
    }
    meter.count('opitios_notifications_total', { result: 'lost' });
    const { event, condition } = change;
    log.error({ to: new URL(this.config.url).origin, event, condition, why }, 'notification could not be delivered');
  }

  /** Empty when it was taken. */
  async #attempt(body: string): Promise<string> {
    const headers = { 'content-type': 'application/json', 'user-agent': 'opitios' };
    const limit = new AbortController();
    const stopTimer = this.ports.clock.after(ATTEMPT_MS, () => limit.abort());
    try {
      const options = { method: 'POST', headers, body, redirect: 'error', signal: limit.signal } as const;
      const response = await this.ports.fetch(this.config.url, options);
      await response.body?.cancel();
      return response.ok ? '' : `status ${response.status}`;
    } catch (cause) {
      return cause instanceof Error ? cause.name : 'unreachable';
    } finally {
      stopTimer();
    }
  }
}

function jsonBody({ event, condition, alerts }: AlertChange, instanceId: string): unknown {
  return {
    event,
    condition,
    severity: 'critical',
    instance: instanceId,
    summary: CONDITIONS[condition].summary,
    count: alerts.length,
    alerts: alerts.slice(0, SUBJECTS_SHOWN).map(({ subject, detail, since, resolvedAt }) => ({
      subject,
      detail,
      since: rfc3339(since),
      ...(resolvedAt !== undefined && { resolved_at: rfc3339(resolvedAt) }),
    })),
    runbook: `docs/operations.md#${CONDITIONS[condition].runbook}`,
  };
}

/** https://docs.slack.dev/messaging/formatting-message-text: three signs are to be escaped. */
function slackBody({ event, condition, alerts }: AlertChange, instanceId: string): unknown {
  const lines = alerts.slice(0, SUBJECTS_SHOWN).map(({ subject, detail }) => `• ${subject}: ${detail}`);
  if (alerts.length > SUBJECTS_SHOWN) lines.push(`• and ${alerts.length - SUBJECTS_SHOWN} more`);
  const head = `${event === 'firing' ? 'FIRING' : 'RESOLVED'} ${condition} (${instanceId}): ${CONDITIONS[condition].summary}`;
  const text = [head, ...lines].join('\n');
  return { text: text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;') };
}

function rfc3339(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
