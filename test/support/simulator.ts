/** A local broker for tests: in this process, or as the built program with the same control methods over HTTP. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { AccountKeys } from '../../src/simulator/accounts.js';
import type { Control } from '../../src/simulator/control/control.js';
import {
  startSimulator,
  type Simulator,
  type SimulatorEndpoints,
  type SimulatorOptions,
} from '../../src/simulator/simulator.js';

/** Three accounts and a budget that tests do not meet by accident. Close it. */
export function aSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  return startSimulator({ accounts: 3, requestsPerMinute: 100_000, ...options });
}

type Remote<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<R> : never;
};

/** The methods of `Control`, each an HTTP request to the door. */
export type RemoteControl = Remote<Control>;

export interface SimulatorProcess {
  readonly url: string;
  readonly controlUrl: string;
  readonly endpoints: SimulatorEndpoints;
  readonly accounts: readonly AccountKeys[];
  readonly master: { readonly apiKey: string; readonly secretKey: string };
  readonly control: RemoteControl;
  readonly process: ChildProcess;
  close(): Promise<void>;
}

/** Starts dist/simulator/main.js (build first) with these arguments, e.g. `['--accounts', '100']`. */
export async function startSimulatorProcess(args: readonly string[] = []): Promise<SimulatorProcess> {
  const program = new URL('../../dist/simulator/main.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, '--print-accounts', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await firstLine(child);
  const told = JSON.parse(line) as Omit<SimulatorProcess, 'control' | 'process' | 'close'>;
  return {
    ...told,
    control: controlOver(told.controlUrl),
    process: child,
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

/** Calls the control door of a simulator that runs anywhere. */
export function controlOver(controlUrl: string): RemoteControl {
  return new Proxy({} as RemoteControl, {
    get:
      (_target, method) =>
      async (...args: readonly unknown[]) => {
        const response = await fetch(`${controlUrl}/${String(method)}`, { method: 'POST', body: JSON.stringify(args) });
        const answer = (await response.json()) as { result?: unknown; error?: string };
        if (answer.error !== undefined) throw new TypeError(`${String(method)}: ${answer.error}`);
        return answer.result;
      },
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new TypeError('the simulator has no output');
  const lines = createInterface({ input: child.stdout });
  const exited = once(child, 'exit').then(() => {
    throw new TypeError('the simulator ended before it told its address');
  });
  const [line] = (await Promise.race([once(lines, 'line'), exited])) as [string];
  exited.catch(() => undefined);
  return line;
}
