// A listener for the client stream: connects with a pasted token, subscribes, shows the newest records. It sends only
// the actions of the stream's own contract, none of which can change an order.
const CHANNELS = {
  quotes: 'AAPL,MSFT',
  trades: 'AAPL',
  bars: 'AAPL',
  option_quotes: 'AAPL270115C00200000',
  option_trades: 'AAPL270115C00200000',
  orders: 'account_001 or *',
  status: 'account_001 or *',
};
const ROWS_MAX = 200;
const find = (id) => document.getElementById(id);

let socket;
let paused = false;
/** Records that arrived since the last frame: a fast stream must not draw faster than the screen. */
let waiting = [];

function state(text) {
  find('state').textContent = text;
}

function open(isOpen) {
  find('fields').disabled = !isOpen;
  find('disconnect').disabled = !isOpen;
  find('connect').disabled = isOpen;
}

function connect(token) {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  state('connecting…');
  // A browser cannot set headers here; the token travels as a subprotocol, never in the address.
  socket = new WebSocket(`${scheme}://${location.host}/api/v1/stream`, [`bearer.${token}`]);
  socket.addEventListener('open', () => {
    open(true);
    state('connected');
  });
  socket.addEventListener('close', ({ code, reason }) => {
    open(false);
    state(code === 1006 ? 'refused or cut off: check the token' : `closed ${code} ${reason}`);
  });
  socket.addEventListener('message', ({ data }) => receive(data));
}

function receive(text) {
  const at = new Date().toISOString().slice(11, 23);
  for (const record of [JSON.parse(text)].flat()) {
    if (record.type === 'subscription') showSubscription(record);
    waiting.push({ at, record });
  }
  if (waiting.length > ROWS_MAX) waiting = waiting.slice(-ROWS_MAX);
  if (!paused) requestAnimationFrame(draw);
}

function showSubscription({ type: _type, ...channels }) {
  const parts = Object.entries(channels)
    .filter(([, names]) => names.length > 0)
    .map(([name, names]) => `${name} ${names.join(', ')}`);
  find('subscribed').textContent = parts.join('; ') || 'nothing';
}

function draw() {
  const rows = waiting.reverse().map(({ at, record }) => {
    const { type, symbol, account_id: account, ...rest } = record;
    const row = document.createElement('tr');
    for (const text of [at, type, symbol ?? account ?? '', JSON.stringify(rest)]) {
      row.insertCell().textContent = text;
    }
    return row;
  });
  waiting = [];
  const table = find('records');
  table.prepend(...rows);
  while (table.rows.length > ROWS_MAX) table.lastElementChild.remove();
}

function say(action) {
  const message = { action };
  if (action !== 'ping') {
    for (const name of Object.keys(CHANNELS)) {
      const values = find(`channel-${name}`)
        .value.split(/[\s,]+/)
        .filter(Boolean);
      if (values.length > 0) message[name] = values;
    }
  }
  socket.send(JSON.stringify(message));
}

function fields() {
  return Object.entries(CHANNELS).map(([name, hint]) => {
    const input = Object.assign(document.createElement('input'), {
      id: `channel-${name}`,
      placeholder: hint,
      autocomplete: 'off',
    });
    const label = document.createElement('label');
    label.append(name, input);
    return label;
  });
}

document.documentElement.dataset.theme = localStorage.getItem('theme') ?? 'system';
find('channels').append(...fields());
find('connection').addEventListener('submit', (event) => {
  event.preventDefault();
  try {
    connect(find('token').value.trim());
  } catch {
    state('this is not a token');
  }
});
find('subscription').addEventListener('submit', (event) => {
  event.preventDefault();
  say(event.submitter?.value ?? 'subscribe');
});
find('disconnect').addEventListener('click', () => socket?.close(1000));
find('clear').addEventListener('click', () => find('records').replaceChildren());
find('pause').addEventListener('click', ({ target }) => {
  paused = !paused;
  target.textContent = paused ? 'Resume the table' : 'Pause the table';
  if (!paused) draw();
});
