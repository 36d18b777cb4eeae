/** Looks at the instance every two seconds, keeps the board of alerts and tells the webhooks what changed. */
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import type { AlertBoard } from './alert-board.js';
import { findingsOf, type InstanceView } from './conditions.js';
import { Webhook, type WebhookPorts } from './webhook.js';

export interface AlertWatchParts extends WebhookPorts {
  readonly config: GatewayConfig;
  readonly board: AlertBoard;
  readonly view: () => Promise<InstanceView>;
}

const LOOK_EVERY_MS = 2_000;

export class AlertWatch {
  readonly #webhooks: readonly Webhook[];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(private readonly parts: AlertWatchParts) {
    const { telemetry, cluster } = parts.config;
    this.#webhooks = telemetry.webhooks.map((hook) => new Webhook(hook, cluster.instanceId, parts));
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await Promise.all(this.#webhooks.map((hook) => hook.close()));
  }

  async #run(): Promise<void> {
    const { clock, log, board, view } = this.parts;
    for (;;) {
      await clock.sleep(LOOK_EVERY_MS, this.#stop.signal);
      // A gateway that stops has no alerts: its workers are gone on purpose.
      if (this.#stop.signal.aborted) return;
      try {
        const changes = board.update(findingsOf(await view()));
        for (const { event, condition, alerts } of changes)
          log.warn({ event, condition, subjects: alerts.map(({ subject }) => subject) }, 'alert');
        for (const hook of this.#webhooks) hook.tell(changes);
      } catch (cause) {
        log.error({ cause }, 'alerts could not be looked at');
      }
    }
  }
}
