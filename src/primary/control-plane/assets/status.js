// Shows what GET /status/data says, every two seconds. Reads only; writes text, never markup; keeps the token in memory.
'use strict';

const EVERY_MS = 2_000;
const STALE_MS = 10_000;
const TROUBLED_SHOWN = 100;

let token = '';
let showsAll = false;
let lastAt = 0;
let last;

const by = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** A sign and a word, so that the colour is not needed. */
function state(text, isGood) {
  return { text: `${isGood ? '✓' : '✗'} ${text}`, className: isGood ? 'good' : 'bad' };
}

/** Cells are text, numbers, or what `state` makes; the first names the row. */
function fill(id, rows, isTroubled = () => false) {
  const body = by(id).tBodies[0];
  body.replaceChildren(
    ...rows.map((cells, index) => {
      const row = document.createElement('tr');
      if (isTroubled(index)) row.className = 'trouble';
      cells.forEach((cell, column) => {
        const isPlain = typeof cell !== 'object' || cell === null;
        const made = element(
          column === 0 ? 'th' : 'td',
          isPlain ? String(cell ?? '–') : cell.text,
          isPlain ? '' : cell.className,
        );
        if (column === 0) made.scope = 'row';
        if (by(id).tHead.rows[0].cells[column].className === 'number') made.classList.add('number');
        row.append(made);
      });
      return row;
    }),
  );
}

function counts(byState) {
  return Object.entries(byState)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

function sum(byState) {
  return Object.values(byState).reduce((total, count) => total + count, 0);
}

function showAlerts({ firing, recent }) {
  by('no-alerts').hidden = firing.length > 0;
  by('alerts').hidden = firing.length + recent.length === 0;
  const shown = firing.slice(0, 20);
  const rows = [
    ...shown.map((one) => [state('firing', false), one.condition, one.subject, one.detail, time(one.since)]),
    ...recent
      .slice(0, 10)
      .map((one) => [state('resolved', true), one.condition, one.subject, one.detail, time(one.since)]),
  ];
  fill('alerts', rows, (index) => index < shown.length);
  if (firing.length > shown.length)
    by('alerts').caption.textContent = `${shown.length} of ${firing.length} firing, then resolved`;
}

function time(text) {
  return text.slice(0, 19).replace('T', ' ');
}

function isTroubled(account) {
  return (
    account.state !== 'ready' ||
    account.trading_state !== 'ACTIVE' ||
    account.open_unknown > 0 ||
    !account.stream_connected
  );
}

function showAccounts(accounts, waiting) {
  const states = {};
  for (const { state: name } of accounts) states[name] = (states[name] ?? 0) + 1;
  by('states').replaceChildren(
    element('li', `${accounts.length + waiting} accounts`),
    ...(waiting > 0 ? [element('li', `✗ ${waiting} waiting for their worker`, 'bad')] : []),
    ...Object.entries(states).map(([name, count]) => {
      const { text, className } = state(`${count} ${name}`, name === 'ready');
      return element('li', text, className);
    }),
  );
  const troubled = accounts.filter(isTroubled);
  const shown = showsAll ? accounts : troubled.slice(0, TROUBLED_SHOWN);
  by('accounts').caption.textContent = showsAll
    ? `All ${accounts.length}`
    : troubled.length === 0
      ? 'Every account that a worker holds is ready and trades'
      : `${shown.length} of ${troubled.length} that need attention`;
  fill(
    'accounts',
    shown.map((one) => [
      one.account_id,
      state(one.state, one.state === 'ready'),
      state(one.trading_state, one.trading_state === 'ACTIVE'),
      one.owner,
      state(one.stream_connected ? 'up' : 'down', one.stream_connected),
      one.open_unknown,
      one.last_success_age_ms === null ? null : Math.round(one.last_success_age_ms / 1_000),
      one.last_error === null
        ? ''
        : `${one.last_error.code}: ${one.last_error.detail}, ${Math.round(one.last_error.ageMs / 1_000)} s ago`,
    ]),
    (index) => isTroubled(shown[index]),
  );
  const more = by('more');
  more.textContent = showsAll ? 'Show only those that need attention' : 'Show every account';
  more.setAttribute('aria-expanded', String(showsAll));
}

function showBudgets(accounts) {
  const least = accounts
    .filter(({ budget }) => budget !== null)
    .sort((a, b) => a.budget.remaining / a.budget.limit - b.budget.remaining / b.budget.limit)
    .slice(0, 10);
  fill(
    'budgets',
    least.map(({ account_id: id, budget }) => [
      id,
      Math.floor(budget.remaining),
      budget.limit,
      Math.ceil(budget.resetsInMs / 1_000),
    ]),
    (index) => least[index].budget.remaining < least[index].budget.limit * 0.1,
  );
}

function show(data) {
  by('instance').textContent = data.instance_id;
  const failing = data.alerts.firing.length;
  const good = data.ready && failing === 0;
  const { text, className } = state(
    !data.ready
      ? `Not ready: ${data.reasons.join('; ')}`
      : good
        ? 'Ready'
        : `Ready, ${failing} ${failing === 1 ? 'alert' : 'alerts'} firing`,
    good,
  );
  if (by('verdict').textContent !== text) by('verdict').textContent = text;
  by('verdict').className = className;
  showAlerts(data.alerts);
  fill(
    'workers',
    data.workers.map((one) => [
      one.slot,
      state(one.state, one.state === 'ready'),
      one.pid,
      one.threads,
      sum(one.accounts),
      counts(one.accounts),
    ]),
    (index) => data.workers[index].state !== 'ready',
  );
  by('latency').caption.textContent = `Requests of the last ${data.latency.window_s} s by what took the time`;
  fill(
    'latency',
    data.latency.parts.map((one) => [one.part, one.requests, one.p50_ms, one.p99_ms]),
  );
  const upStreams = data.accounts.filter(({ stream_connected: isUp }) => isUp).length;
  fill('streams', [
    ...data.data_streams.map(({ side, up }) => [`Market data, ${side}`, state(up ? 'up' : 'down', up)]),
    ['Trade streams', state(`${upStreams} of ${data.accounts.length} up`, upStreams === data.accounts.length)],
    ['Client sockets', data.client_sockets],
  ]);
  showBudgets([...data.accounts]);
  showAccounts(data.accounts, data.accounts_waiting);
  by('sign-in').hidden = true;
  by('report').hidden = false;
}

function showFreshness(why) {
  const ageMs = Date.now() - lastAt;
  const { text, className } = why
    ? state(`${why}; shown is what was known ${Math.round(ageMs / 1_000)} s ago`, false)
    : { text: `As of ${time(last.at)} UTC`, className: '' };
  by('fresh').textContent = text;
  by('fresh').className = className;
  if (why && ageMs > STALE_MS) {
    by('verdict').textContent = '✗ Unknown: the gateway does not answer';
    by('verdict').className = 'bad';
  }
}

async function look() {
  const response = await fetch('status/data', {
    headers: { authorization: `Bearer ${token}` },
    cache: 'no-store',
  }).catch(() => undefined);
  if (response?.status === 401 || response?.status === 403) {
    token = '';
    by('sign-in').hidden = false;
    by('report').hidden = true;
    by('refusal').textContent =
      response.status === 401 ? 'The token is not valid (any more).' : 'The token needs admin for every account.';
    by('token').focus();
    return;
  }
  if (response?.ok === true) {
    last = await response.json();
    lastAt = Date.now();
    show(last);
    showFreshness();
  } else if (last === undefined) {
    by('refusal').textContent = 'The gateway does not answer.';
    by('sign-in').hidden = false;
  } else {
    showFreshness(response === undefined ? 'The gateway does not answer' : `The gateway answers ${response.status}`);
  }
  if (token !== '') setTimeout(look, EVERY_MS);
}

by('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  token = by('token').value.trim();
  by('token').value = '';
  by('refusal').textContent = '';
  void look();
});
by('more').addEventListener('click', () => {
  showsAll = !showsAll;
  if (last !== undefined) showAccounts(last.accounts, last.accounts_waiting);
});
