/** Requests that go on while something is done to the gateway, and what became of each. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayProcess } from './gateway-process.js';
import type { KeepAliveClients } from './keep-alive-clients.js';

export interface SteadyRequests {
  readonly answers: () => number;
  /** Everything but 2xx, with the body. */
  readonly failed: readonly string[];
  stop(): Promise<void>;
}

/** So many callers read the accounts in turn, without a pause. */
export function readSteadily(gateway: GatewayProcess, accountIds: readonly string[], callers = 4): SteadyRequests {
  return steadily(callers, (turn) => gateway.get(`/accounts/${accountIds[turn % accountIds.length] ?? ''}/account`));
}

/** So many a second, whether or not the earlier ones are answered: nobody waits for a slow gateway. */
export function requestsAtRate(perSecond: number, ask: (turn: number) => Promise<Response>): SteadyRequests {
  const failed: string[] = [];
  const open = new Set<Promise<void>>();
  const startedAt = performance.now();
  let [sent, answers] = [0, 0];
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond);
    for (; sent < due; sent += 1) {
      const one: Promise<void> = outcomeOf(ask(sent)).then((outcome) => {
        answers += 1;
        if (!outcome.startsWith('2')) failed.push(outcome.slice(0, 300));
        open.delete(one);
      });
      open.add(one);
    }
  }, 10);
  return {
    answers: () => answers,
    failed,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(open);
    },
  };
}

function outcomeOf(asked: Promise<Response>): Promise<string> {
  return asked.then(
    async (response) => `${response.status} ${await response.text()}`,
    (cause: unknown) => String((cause as { cause?: unknown }).cause ?? cause),
  );
}

export function steadily(callers: number, ask: (turn: number) => Promise<Response>): SteadyRequests {
  return repeatedly(callers, (turn) => outcomeOf(ask(turn)));
}

/** Every caller reads all accounts in turn over a connection of its own that it keeps; nothing but 200 will do. */
export async function readOnKeptConnections(
  gateway: GatewayProcess,
  clients: KeepAliveClients,
  { callers, pauseMs = 0 }: { readonly callers: number; readonly pauseMs?: number },
): Promise<SteadyRequests> {
  const asking = await clients.of(gateway, callers);
  return repeatedly(callers, async (turn, caller) => {
    // Turns go up by the number of callers: by rounds, no account is left out by anyone.
    const accountId = gateway.accountIds[(Math.floor(turn / callers) + caller) % gateway.accountIds.length] ?? '';
    const outcome = await asking[caller]?.(`/accounts/${accountId}/account`).then(
      ({ status, text }) => (status === 200 ? '200' : `not 200: ${status} ${text}`),
      (cause: unknown) => String(cause),
    );
    if (pauseMs > 0) await sleep(pauseMs);
    return outcome ?? 'no such caller';
  });
}

function repeatedly(callers: number, ask: (turn: number, caller: number) => Promise<string>): SteadyRequests {
  const state = { done: false, answers: 0 };
  const failed: string[] = [];
  const running = Array.from({ length: callers }, async (_, caller) => {
    for (let turn = caller; !state.done; turn += callers) {
      const outcome = await ask(turn, caller);
      state.answers += 1;
      if (!outcome.startsWith('2')) failed.push(outcome.slice(0, 300));
    }
  });
  return {
    answers: () => state.answers,
    failed,
    stop: async () => {
      state.done = true;
      await Promise.all(running);
    },
  };
}
