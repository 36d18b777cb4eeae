/** The status as text for a terminal: what needs a person comes first, and nothing is told by colour alone. Pure. */

export interface StatusDocument {
  readonly instance_id: string;
  readonly at: string;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly latency: {
    readonly window_s: number;
    readonly parts: readonly {
      readonly part: string;
      readonly requests: number;
      readonly p50_ms: number | null;
      readonly p99_ms: number | null;
    }[];
  };
  readonly data_streams: readonly { readonly side: string; readonly up: boolean }[];
  readonly client_sockets: number;
  readonly alerts: { readonly firing: readonly ShownAlert[]; readonly recent: readonly ShownAlert[] };
  readonly workers: readonly {
    readonly slot: number;
    readonly pid: number;
    readonly state: string;
    readonly threads: number;
    readonly accounts: Readonly<Record<string, number>>;
  }[];
  /** Only where several instances share the accounts. Ages in milliseconds; null where leases are pinned. */
  readonly leases?: {
    readonly mode: string;
    readonly valid_for_ms: number | null;
    readonly last_renewed_age_ms: number | null;
    readonly members: readonly { readonly instance_id: string; readonly url: string; readonly slots: number }[];
    readonly slots: readonly { readonly slot: number; readonly epoch: number }[];
    readonly unowned_slots: number;
  };
  /** Nobody speaks for them now. */
  readonly accounts_waiting: number;
  readonly accounts: readonly {
    readonly account_id: string;
    readonly state: string;
    readonly trading_state: string;
    readonly owner: number;
    readonly last_error: { readonly code: string; readonly detail: string; readonly ageMs: number } | null;
    readonly budget: { readonly limit: number; readonly remaining: number } | null;
    readonly open_unknown: number;
    readonly stream_connected: boolean;
  }[];
}

interface ShownAlert {
  readonly condition: string;
  readonly subject: string;
  readonly detail: string;
  readonly since: string;
}

export interface Screen {
  readonly columns: number;
  /** Undefined shows everything. */
  readonly rows: number | undefined;
  readonly hasColour: boolean;
}

type Paint = (text: string) => string;
const plain: Paint = (text) => text;
const BUDGETS_SHOWN = 3;

/** Lines no longer than the screen is wide, and no more of them than it is high. */
export function statusLines(status: StatusDocument, screen: Screen): readonly string[] {
  const bad: Paint = screen.hasColour ? (text) => `\u001b[1;31m${text}\u001b[0m` : plain;
  const bold: Paint = screen.hasColour ? (text) => `\u001b[1m${text}\u001b[0m` : plain;
  const fit = (text: string): string =>
    text.length <= screen.columns ? text : `${text.slice(0, screen.columns - 1)}…`;
  const lines: string[] = [];
  const add = (text: string, paint: Paint = plain): void => void lines.push(paint(fit(text)));
  const { firing } = status.alerts;
  const isGood = status.ready && firing.length === 0;
  const verdict = status.ready ? 'ready' : `NOT READY: ${status.reasons.join('; ')}`;
  add(
    `opitios ${status.instance_id}   ${verdict}   ${status.at.slice(0, 19).replace('T', ' ')} UTC`,
    isGood ? bold : bad,
  );
  for (const one of firing.slice(0, 5)) add(`! ${one.condition}  ${one.subject}: ${one.detail}`, bad);
  if (firing.length > 5) add(`! and ${firing.length - 5} more alerts`, bad);
  add('');
  const workers = status.workers.map((one) => [one.slot, one.pid, one.state, one.threads, countsOf(one.accounts)]);
  const [workerHead, ...workerRows] = table(['WORKER', 'PID', 'STATE', 'THREADS', 'ACCOUNTS'], workers);
  add(workerHead ?? '', bold);
  workerRows.forEach((row, index) => add(row, status.workers[index]?.state === 'ready' ? plain : bad));
  add('');
  addInstances(status, add, { bold, bad });
  const parts = status.latency.parts.map((one) => [one.part, one.requests, one.p50_ms ?? '-', one.p99_ms ?? '-']);
  const [latencyHead, ...latencyRows] = table(
    [`LAST ${status.latency.window_s} s`, 'REQUESTS', 'P50 ms', 'P99 ms'],
    parts,
  );
  add(latencyHead ?? '', bold);
  for (const row of latencyRows) add(row);
  add('');
  const up = status.accounts.filter(({ stream_connected: isUp }) => isUp).length;
  const data = status.data_streams.map(({ side, up: isUp }) => `${side} data ${isUp ? 'up' : 'DOWN'}`);
  add(
    ['streams', ...data, `trade ${up} of ${status.accounts.length} up`, `${status.client_sockets} client sockets`].join(
      '   ',
    ),
  );
  add(`budgets   ${leastBudgets(status)}`);
  add('');
  addAccounts(status, { screen, lines, add, bold, bad });
  return lines;
}

function addInstances(
  { instance_id: self, leases }: StatusDocument,
  add: (text: string, paint?: Paint) => void,
  { bold, bad }: { readonly bold: Paint; readonly bad: Paint },
): void {
  if (leases === undefined) return;
  const [head, ...rows] = table(
    ['INSTANCE', 'SLOTS', 'ADDRESS'],
    leases.members.map((one) => [
      one.instance_id === self ? `${one.instance_id} *` : one.instance_id,
      one.slots,
      one.url,
    ]),
  );
  add(head ?? '', bold);
  for (const row of rows) add(row);
  const { slots, unowned_slots: unowned, valid_for_ms: validMs } = leases;
  const highest = slots.reduce((most, { epoch }) => Math.max(most, epoch), 0);
  const held = `leases   ${slots.length} slots held   highest epoch ${highest}`;
  if (validMs === null) add(`${held}   ${leases.mode}`);
  else {
    const age = leases.last_renewed_age_ms === null ? 'never' : `${leases.last_renewed_age_ms} ms ago`;
    add(`${held}   renewed ${age}   valid for ${validMs} ms`, validMs > 0 ? plain : bad);
  }
  if (unowned > 0) add(`! ${unowned} slots are held by nobody`, bad);
  add('');
}

function addAccounts(
  { accounts, accounts_waiting: waiting }: StatusDocument,
  to: {
    readonly screen: Screen;
    readonly lines: readonly string[];
    readonly add: (text: string, paint?: Paint) => void;
    readonly bold: Paint;
    readonly bad: Paint;
  },
): void {
  const troubled = accounts.filter(
    (one) => one.state !== 'ready' || one.trading_state !== 'ACTIVE' || one.open_unknown > 0 || !one.stream_connected,
  );
  const byState: Record<string, number> = {};
  for (const { state } of accounts) byState[state] = (byState[state] ?? 0) + 1;
  const waits = waiting > 0 ? `   ! ${waiting} waiting for their worker` : '';
  to.add(`${accounts.length + waiting} accounts   ${countsOf(byState)}${waits}`, waiting > 0 ? to.bad : to.bold);
  if (troubled.length === 0) return;
  // The head, and the line that says how many are not shown.
  const room = to.screen.rows === undefined ? Infinity : to.screen.rows - to.lines.length - 2;
  const shown = troubled.slice(0, Math.max(0, room));
  const rows = shown.map((one) => [
    one.account_id,
    one.state,
    one.trading_state,
    one.owner,
    one.stream_connected ? 'up' : 'DOWN',
    one.open_unknown,
    one.last_error === null ? '' : `${one.last_error.code}: ${one.last_error.detail}`,
  ]);
  const [head, ...texts] = table(['ACCOUNT', 'SESSION', 'TRADING', 'WORKER', 'STREAM', 'UNKNOWN', 'LAST ERROR'], rows);
  to.add(head ?? '', to.bold);
  for (const text of texts) to.add(text, to.bad);
  if (shown.length < troubled.length)
    to.add(`… and ${troubled.length - shown.length} more that need attention`, to.bad);
}

function leastBudgets({ accounts }: StatusDocument): string {
  const least = accounts
    .flatMap(({ account_id: id, budget }) => (budget === null ? [] : [{ id, ...budget }]))
    .sort((a, b) => a.remaining / a.limit - b.remaining / b.limit)
    .slice(0, BUDGETS_SHOWN);
  const texts = least.map(({ id, remaining, limit }) => `${id} ${Math.floor(remaining)} of ${limit}`);
  return texts.length === 0 ? 'none known' : `least left: ${texts.join(', ')}`;
}

function countsOf(byState: Readonly<Record<string, number>>): string {
  return Object.entries(byState)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ');
}

/** The head first. Numbers stand at the right of their column. */
function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): readonly string[] {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => String(row[column]).length)));
  const line = (cells: readonly (string | number)[], isHead: boolean): string =>
    cells
      .map((cell, column) => {
        const isNumber = !isHead && typeof cell === 'number';
        return isNumber ? String(cell).padStart(widths[column] ?? 0) : String(cell).padEnd(widths[column] ?? 0);
      })
      .join('  ')
      .trimEnd();
  return [line(head, true), ...rows.map((row) => line(row, false))];
}
