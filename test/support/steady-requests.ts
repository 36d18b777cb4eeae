/** Requests that go on while something is done to the gateway, and what became of each. */
import type { GatewayProcess } from './gateway-process.js';

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
  const state = { done: false, answers: 0 };
  const failed: string[] = [];
  const running = Array.from({ length: callers }, async (_, caller) => {
    for (let turn = caller; !state.done; turn += callers) {
      const outcome = await outcomeOf(ask(turn));
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
