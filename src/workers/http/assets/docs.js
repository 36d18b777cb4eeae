// Draws the gateway's own OpenAPI and AsyncAPI documents. Everything is written as text: a document is data, never markup.
const VERBS = ['get', 'post', 'patch', 'delete'];
const THEMES = ['system', 'light', 'dark'];

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== ''));
  return made;
}

const code = (text) => element('code', {}, text);
const quiet = (...children) => element('span', { class: 'quiet' }, ...children);
const link = (href, ...children) => element('a', { href }, ...children);

function typeOf(schema) {
  if (!schema) return '';
  if (schema.enum) return schema.enum.map((value) => (value === '' ? '""' : value)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items) || 'anything'}`;
  return [schema.type ?? 'anything'].flat().join(' or ');
}

/** A value as the schema describes it, from its examples where there are some. */
function sample(schema, depth = 0) {
  if (!schema || depth > 5) return null;
  if (schema.const !== undefined) return schema.const;
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum.find((value) => value !== '');
  if (schema.anyOf) return sample(schema.anyOf[0], depth + 1);
  const type = [schema.type].flat()[0];
  if (type === 'array') return [sample(schema.items ?? { type: 'object' }, depth + 1)];
  if (type === 'object' || schema.properties) {
    const entries = Object.entries(schema.properties ?? {});
    return Object.fromEntries(entries.map(([name, value]) => [name, sample(value, depth + 1)]));
  }
  if (type === 'boolean') return true;
  if (type === 'integer' || type === 'number') return 1;
  return type === 'string' ? '…' : null;
}

/** Fields of an object, nested ones below their parent: `legs[].symbol`. */
function fields(schema, prefix = '', depth = 0) {
  const inner = schema?.type === 'array' ? schema.items : schema;
  if (!inner?.properties || depth > 3) return [];
  const at = schema.type === 'array' ? `${prefix}[]` : prefix;
  return Object.entries(inner.properties).flatMap(([name, value]) => {
    const path = at ? `${at}.${name}` : name;
    const must = inner.required?.includes(name);
    return [{ name: path, schema: value, must }, ...fields(value, path, depth + 1)];
  });
}

function limits(schema) {
  const most = schema?.maximum ?? schema?.maxLength ?? schema?.maxItems;
  return [
    most === undefined ? '' : `At most ${most}. `,
    schema?.default === undefined ? '' : `Default ${schema.default}. `,
  ].join('');
}

function fieldTable(rows, caption) {
  const body = rows.map(({ name, place, schema, must, note }) => {
    const text = [note ?? schema?.description ?? '', limits(schema)].filter(Boolean).join(' ');
    const shown = schema?.examples && schema.type !== 'array' ? quiet(' e.g. ', code(String(schema.examples[0]))) : '';
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, code(name), must ? element('span', { class: 'must' }, 'required') : ''),
      element(
        'td',
        {},
        element('span', { class: 'type' }, typeOf(schema), place ? `, in the ${place}` : ''),
        element('div', {}, text, shown),
      ),
    );
  });
  return element('table', {}, element('caption', { class: 'unseen' }, caption), element('tbody', {}, ...body));
}

/** Rules between fields, in a sentence. */
function rules(schema) {
  const names = (list) => list.map((one) => one.required[0]).join(' or ');
  const sentence = (rule) => {
    if (rule.oneOf) return `Exactly one of ${names(rule.oneOf)}.`;
    if (rule.not) return `Not both ${rule.not.required.join(' and ')}.`;
    if (!rule.if) return undefined;
    const test = Object.entries(rule.if.properties).map(
      ([name, { enum: values }]) => `${name} is ${values.join(' or ')}`,
    );
    const needs = outcome(rule.then);
    const otherwise = outcome(rule.else);
    const parts = [
      needs && `When ${test}: ${needs}.`,
      otherwise && `${needs ? 'Otherwise' : `Unless ${test}`}: ${otherwise}.`,
    ];
    return parts.filter(Boolean).join(' ');
  };
  const outcome = (part) => {
    if (!part) return undefined;
    if (part.required) return `${part.required.join(', ')} is required`;
    if (part.allOf) return `one of ${part.allOf.map((one) => names(one.anyOf ?? [])).join(', ')} is required`;
    if (part.if)
      return sentence(part)
        ?.replace(/\.$/, '')
        .replace(/^(Unless|When) /, (word) => word.toLowerCase());
    return `${Object.keys(part.properties).join(', ')} is not taken`;
  };
  const all = (schema?.allOf ?? []).map(sentence).filter(Boolean);
  return all.length === 0 ? [] : [element('ul', { class: 'rules' }, ...all.map((text) => element('li', {}, text)))];
}

/** Code with a button that copies it. */
function snippet(text, label) {
  const button = element('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${label}` }, 'Copy');
  button.addEventListener('click', async () => {
    await navigator.clipboard?.writeText(text);
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 1_500);
  });
  return element('div', { class: 'snippet' }, button, element('pre', { tabindex: '0', 'aria-label': label }, text));
}

const json = (value) => JSON.stringify(value, undefined, 2);

function curl(verb, path, operation, body) {
  const at = (name) => operation.parameters.find((one) => one.name === name)?.schema.examples?.[0] ?? name;
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(at(name)));
  const must = operation.parameters.filter((one) => one.in === 'query' && one.required);
  const query = must.map((one) => `${one.name}=${at(one.name)}`).join('&');
  const method = verb === 'get' ? '' : `-X ${verb.toUpperCase()} `;
  const lines = [`curl ${method}'${location.origin}${address}${query ? `?${query}` : ''}'`];
  if (operation.security.length > 0) lines.push('-H "Authorization: Bearer $TOKEN"');
  if (operation.parameters.some((one) => one.name === 'Idempotency-Key'))
    lines.push('-H "Idempotency-Key: $(uuidgen)"');
  if (body) lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(body)}'`);
  return lines.join(' \\\n  ');
}

function requestExample(verb, path, operation) {
  const given = Object.values(operation.requestBody?.content['application/json'].examples ?? {});
  if (given.length < 2) return [snippet(curl(verb, path, operation, given[0]?.value), 'the request')];
  const select = element(
    'select',
    { 'aria-label': 'Which example' },
    ...given.map(({ summary }, index) => element('option', { value: index }, summary)),
  );
  const shown = element('div', {});
  const show = () => {
    const { value } = given[Number(select.value)];
    shown.replaceChildren(snippet(curl(verb, path, operation, value), 'the request'), snippet(json(value), 'the body'));
  };
  select.addEventListener('change', show);
  show();
  return [select, shown];
}

function answers(operation) {
  const rows = Object.entries(operation.responses).filter(([status]) => status !== 'default');
  return rows.map(([status, answer]) => {
    const [type, content] = Object.entries(answer.content ?? {})[0] ?? ['no body'];
    const head = [element('span', { class: `status s${status[0]}` }, status), ` ${answer.description} `, quiet(type)];
    const inside = fields(content?.schema);
    if (inside.length === 0) return element('p', { class: 'answer' }, ...head);
    return element(
      'details',
      { class: 'answer' },
      element('summary', {}, ...head),
      snippet(json(sample(content.schema)), `an answer ${status}`),
      fieldTable(inside, `Fields of the answer ${status}`),
    );
  });
}

function refusals(operation) {
  const codes = operation['x-problem-codes'] ?? [];
  const chips = codes.map((name) => link(`#problem-${name}`, code(name)));
  return element('p', { class: 'chips' }, ...chips, link('#problems', 'and those of every route'));
}

function article(verb, path, operation) {
  const VERB = verb.toUpperCase();
  const permission = operation['x-permission'] === 'none' ? 'open' : operation['x-permission'];
  const parameters = operation.parameters.map((one) => ({
    ...one,
    place: one.in,
    must: one.required,
    note: one.description,
  }));
  const body = operation.requestBody?.content['application/json'].schema;
  const left = element('div', { class: 'about' });
  if (operation.description) left.append(element('p', {}, operation.description));
  if (parameters.length > 0) left.append(element('h4', {}, 'Parameters'), fieldTable(parameters, 'Parameters'));
  if (body) left.append(element('h4', {}, 'Body'), fieldTable(fields(body), 'Fields of the body'), ...rules(body));
  left.append(
    element('h4', {}, 'Answers'),
    ...answers(operation),
    element('h4', {}, 'Problem codes'),
    refusals(operation),
  );
  const right = element(
    'div',
    { class: 'example' },
    element('h4', {}, 'Example'),
    ...requestExample(verb, path, operation),
  );
  const summary = element(
    'summary',
    {},
    element('h3', {}, element('span', { class: `verb ${VERB}` }, VERB), element('span', { class: 'path' }, path)),
    element('span', { class: 'what' }, operation.summary),
    element('span', { class: `badge ${permission}`, title: 'The permission that the token needs' }, permission),
  );
  const made = element(
    'details',
    { class: 'card', id: operation.operationId },
    summary,
    element('div', { class: 'inside' }, left, right),
  );
  const names = [...parameters, ...fields(body)].map(({ name }) => name);
  made.dataset.text = [
    VERB,
    path,
    operation.operationId,
    operation.summary,
    operation.description,
    permission,
    ...names,
    ...(operation['x-problem-codes'] ?? []),
  ]
    .join(' ')
    .toLowerCase();
  return made;
}

function problems(list, general) {
  const rows = list.map(({ code: name, status, title }) => {
    const row = element(
      'tr',
      { id: `problem-${name}`, class: 'found' },
      element('th', { scope: 'row' }, code(name)),
      element('td', {}, element('span', { class: `status s${String(status)[0]}` }, String(status))),
      element('td', {}, title, general.includes(name) ? quiet(' (any route)') : ''),
    );
    row.dataset.text = `problem code error ${name} ${status} ${title}`.toLowerCase();
    return row;
  });
  const about =
    'Refusals are application/problem+json (RFC 9457). Rely on code: titles and details may change. What the broker said itself stands in alpaca.';
  const shown = {
    type: 'urn:opitios:problem:risk-denied',
    title: 'A risk rule denied the order',
    status: 422,
    detail: '…',
    code: 'risk-denied',
    request_id: '…',
  };
  return section(
    'problems',
    'Problem codes',
    element('p', {}, about),
    snippet(json(shown), 'a problem'),
    element('table', { class: 'card' }, element('tbody', {}, ...rows)),
  );
}

function section(id, title, ...children) {
  return element('section', { id, 'aria-label': title }, element('h2', {}, title), ...children);
}

function stream(spec) {
  const direction = { action: 'You send', type: 'You receive' };
  const messages = Object.entries(spec.channels.stream.messages).map(([key, message]) => {
    const kind = key.split('_')[0];
    const rest = fields(message.payload).filter(({ name }) => name !== kind);
    const card = element(
      'details',
      { class: 'card', id: `stream-${key}` },
      element(
        'summary',
        {},
        element(
          'h3',
          {},
          element('span', { class: `verb ${kind === 'action' ? 'POST' : 'GET'}` }, direction[kind]),
          element('span', { class: 'path' }, message.name),
        ),
        element('span', { class: 'what' }, message.summary),
      ),
      element(
        'div',
        { class: 'inside' },
        element(
          'div',
          { class: 'about' },
          ...(rest.length > 0 ? [fieldTable(rest, 'Fields')] : [quiet('No further fields.')]),
        ),
        element('div', { class: 'example' }, snippet(json(sample(message.payload)), 'a message')),
      ),
    );
    card.dataset.text =
      `stream websocket ${message.name} ${message.summary} ${rest.map(({ name }) => name).join(' ')}`.toLowerCase();
    return card;
  });
  const about = element(
    'p',
    {},
    'One WebSocket at ',
    code(spec.channels.stream.address),
    ' carries quotes, trades, bars and order events. ',
    link('/api/v1/docs/stream', 'Try it in this browser'),
    '.',
  );
  const codes = spec.info.description.split('\n').filter((line) => line.startsWith('- '));
  const row = (line) => {
    const [, name, meaning] = /^- `?([^`:]+)`?: (.*)$/.exec(line) ?? [];
    return element('tr', {}, element('th', { scope: 'row' }, code(name)), element('td', {}, meaning));
  };
  const table = element(
    'details',
    { class: 'card', id: 'stream-codes' },
    element('summary', {}, element('h3', {}, 'Error and close codes')),
    element('table', {}, element('tbody', {}, ...codes.map(row))),
  );
  table.dataset.text = `stream errors close codes ${codes.join(' ')}`.toLowerCase();
  return section('stream', 'Stream', about, ...messages, table);
}

function start(spec) {
  const needs = [
    ['market_data', 'quotes, bars, chains, assets, clock'],
    ['read', 'accounts, positions, orders, activities'],
    ['trade', 'submit, replace, cancel, close'],
    ['audit', 'the audit trail of an account'],
    ['admin', 'pool, reload, halt, resume, profile'],
  ];
  const rows = needs.map(([name, what]) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, element('span', { class: `badge ${name}` }, name)),
      element('td', {}, what),
    ),
  );
  return section(
    'start',
    'Start here',
    element('p', {}, spec.info.description),
    snippet(
      `export TOKEN=…   # a JWT from your operator\ncurl '${location.origin}/api/v1/stocks/quote/AAPL' -H "Authorization: Bearer $TOKEN"`,
      'the first request',
    ),
    element(
      'p',
      {},
      'A token carries permissions and the accounts it may reach. Each route below says which permission it needs.',
    ),
    element(
      'table',
      { class: 'card' },
      element('caption', { class: 'unseen' }, 'Permissions'),
      element('tbody', {}, ...rows),
    ),
    element(
      'ul',
      { class: 'rules' },
      element(
        'li',
        {},
        'An order answered with 202 and status unknown was sent: ask at Location, never send it again under another id.',
      ),
      element('li', {}, 'Money and quantities are strings; times are RFC 3339 in UTC.'),
      element('li', {}, 'Quote the X-Request-ID of an answer when you ask your operator about it.'),
    ),
  );
}

function navigation(groups) {
  return groups.map(({ title, id, entries }) =>
    element(
      'div',
      { class: 'group' },
      element('h2', {}, link(`#${id}`, title)),
      element(
        'ul',
        {},
        ...entries.map(({ id: target, verb, text }) => {
          const to = link(`#${target}`, verb ? element('span', { class: `verb ${verb}` }, verb) : '', text);
          to.dataset.of = target;
          return element('li', {}, to);
        }),
      ),
    ),
  );
}

function isFileOfThisPage(operation) {
  const [type] = Object.keys(operation.responses['200']?.content ?? {});
  return ['text/html', 'text/css', 'text/javascript'].includes(type);
}

function draw(spec, streamSpec) {
  const groups = spec.tags.map(({ name, 'x-operations': order }) => ({
    title: name,
    id: name.toLowerCase().replaceAll(' ', '-'),
    order,
    operations: [],
  }));
  for (const [path, verbs] of Object.entries(spec.paths)) {
    for (const verb of VERBS.filter((one) => verbs[one] && !isFileOfThisPage(verbs[one]))) {
      groups.find(({ title }) => title === verbs[verb].tags[0]).operations.push({ verb, path, operation: verbs[verb] });
    }
  }
  for (const { order, operations } of groups) {
    const place = ({ operation }) => order.indexOf(operation.operationId);
    operations.sort((one, other) => place(one) - place(other));
  }
  const main = document.querySelector('#main');
  main.replaceChildren(element('h1', {}, spec.info.title), start(spec));
  const entries = [];
  for (const { title, id, operations } of groups) {
    main.append(section(id, title, ...operations.map(({ verb, path, operation }) => article(verb, path, operation))));
    entries.push({
      title,
      id,
      entries: operations.map(({ verb, operation }) => ({
        id: operation.operationId,
        verb: verb.toUpperCase(),
        text: operation.summary,
      })),
    });
  }
  if (streamSpec) {
    main.append(stream(streamSpec));
    const messages = Object.entries(streamSpec.channels.stream.messages);
    entries.push({
      title: 'Stream',
      id: 'stream',
      entries: messages.map(([key, { name }]) => ({
        id: `stream-${key}`,
        verb: key.startsWith('action') ? 'SEND' : 'HEAR',
        text: name,
      })),
    });
    document.querySelector('#asyncapi').hidden = false;
  }
  main.append(
    problems(spec['x-problems'], spec['x-general-problem-codes']),
    element('p', { id: 'nothing', class: 'quiet', hidden: '' }, 'Nothing matches the search.'),
  );
  document
    .querySelector('#nav')
    .replaceChildren(
      ...navigation([
        { title: 'Start here', id: 'start', entries: [] },
        ...entries,
        { title: 'Problem codes', id: 'problems', entries: [] },
      ]),
    );
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const one of document.querySelectorAll('main [data-text]')) {
    one.hidden = !words.every((word) => one.dataset.text.includes(word));
    if (!one.hidden) found += 1;
    const entry = document.querySelector(`nav a[data-of="${one.id}"]`);
    if (entry) entry.parentElement.hidden = one.hidden;
  }
  for (const one of document.querySelectorAll('main section')) {
    one.hidden = words.length > 0 && !one.querySelector('[data-text]:not([hidden])');
  }
  document.querySelector('#nothing').hidden = found > 0;
  document.querySelector('#found').textContent = words.length === 0 ? '' : `${found} found`;
}

/** The address of a route opens it. */
function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  if (named.closest('[hidden]')) {
    document.querySelector('#search').value = '';
    search('');
  }
  if (named.tagName === 'DETAILS') named.open = true;
  for (const entry of document.querySelectorAll('nav a')) {
    if (entry.hash !== location.hash) entry.removeAttribute('aria-current');
    else {
      entry.setAttribute('aria-current', 'true');
      entry.scrollIntoView({ block: 'nearest' });
    }
  }
  named.scrollIntoView();
}

function keys() {
  const box = document.querySelector('#search');
  box.addEventListener('input', () => search(box.value));
  addEventListener('keydown', (event) => {
    const typing = ['INPUT', 'SELECT', 'TEXTAREA'].includes(document.activeElement?.tagName);
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      box.focus();
    } else if (event.key === 'Escape' && document.activeElement === box) {
      box.value = '';
      search('');
    }
  });
}

function theme() {
  const button = document.querySelector('#theme');
  let chosen = localStorage.getItem('theme') ?? 'system';
  const show = () => {
    document.documentElement.dataset.theme = chosen;
    button.textContent = `Theme: ${chosen}`;
  };
  button.addEventListener('click', () => {
    chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length];
    localStorage.setItem('theme', chosen);
    show();
  });
  show();
}

async function begin() {
  theme();
  try {
    const [api, streams] = await Promise.all([fetch('/api/v1/openapi.json'), fetch('/api/v1/asyncapi.json')]);
    draw(await api.json(), streams.ok ? await streams.json() : undefined);
  } catch {
    document.querySelector('#main').replaceChildren(element('p', {}, 'The document could not be loaded.'));
    return;
  }
  keys();
  addEventListener('hashchange', openNamed);
  openNamed();
}

await begin();
