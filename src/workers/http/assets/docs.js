// Draws the gateway's own OpenAPI document. Everything is written with textContent: the document is data, never markup.
const VERBS = ['get', 'post', 'patch', 'delete'];

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

function typeOf(schema) {
  if (!schema) return '';
  if (schema.enum) return schema.enum.map((value) => (value === '' ? '""' : value)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items) || 'anything'}`;
  return [].concat(schema.type ?? 'anything').join(' or ');
}

/** Fields of an object, nested ones below their parent: `legs[].symbol`. */
function fields(schema, prefix = '', depth = 0) {
  const inner = schema?.type === 'array' ? schema.items : schema;
  if (!inner?.properties || depth > 3) return [];
  const at = schema.type === 'array' ? `${prefix}[]` : prefix;
  return Object.entries(inner.properties).flatMap(([name, value]) => {
    const path = at ? `${at}.${name}` : name;
    return [{ name: path, schema: value, must: inner.required?.includes(name) }, ...fields(value, path, depth + 1)];
  });
}

function fieldTable(rows) {
  const body = rows.map(({ name, place, schema, must, note }) => {
    const cell = element('td', '', element('code', '', name));
    if (must) cell.append(' ', element('span', 'must', 'required'));
    const limit = schema?.maximum ?? schema?.maxLength ?? schema?.maxItems;
    const about = [note ?? schema?.description, limit === undefined ? undefined : `At most ${limit}.`]
      .filter(Boolean)
      .join(' ');
    const example = schema?.example === undefined ? undefined : element('code', '', JSON.stringify(schema.example));
    const text = element('td', '', about, about && example ? ' ' : '', example);
    return element('tr', '', cell, element('td', 'quiet', place ?? ''), element('td', '', typeOf(schema)), text);
  });
  return element('table', '', element('tbody', '', ...body));
}

function answersTable(operation) {
  const rows = Object.entries(operation.responses).filter(([status]) => status !== 'default');
  const parts = rows.flatMap(([status, answer]) => {
    const [type, content] = Object.entries(answer.content ?? {})[0] ?? ['no body'];
    const head = element(
      'p',
      '',
      element('code', '', status),
      ` ${answer.description} `,
      element('span', 'quiet', type),
    );
    const inside = fields(content?.schema);
    return inside.length === 0
      ? [head]
      : [head, element('details', '', element('summary', 'quiet', 'Fields…'), fieldTable(inside))];
  });
  const refused = element('a', '', 'problem+json');
  refused.href = '#problems';
  return [...parts, element('p', 'quiet', 'Refusals: ', refused, ' with a stable code.')];
}

function example(verb, path, operation) {
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name) => {
    return encodeURIComponent(operation.parameters.find((one) => one.name === name)?.schema.example ?? name);
  });
  const lines = [`curl ${verb === 'get' ? '' : `-X ${verb.toUpperCase()} `}${location.origin}${address}`];
  if (operation.security.length > 0) lines.push('-H "Authorization: Bearer $TOKEN"');
  if (operation.requestBody) {
    lines.push('-H "Content-Type: application/json"');
    const stock = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '150', time_in_force: 'day' };
    const option = { ...stock, symbol: 'AAPL250620C00100000' };
    const bodies = {
      submitStockOrder: stock,
      submitOptionOrder: option,
      replaceOrder: { limit_price: '151' },
      postStockQuotes: { symbols: ['AAPL', 'MSFT'] },
    };
    lines.push(`-d '${JSON.stringify(bodies[operation.operationId] ?? { reason: 'maintenance' })}'`);
  }
  return element('pre', '', lines.join(' \\\n  '));
}

function article(verb, path, operation) {
  const VERB = verb.toUpperCase();
  const details = element('details', '');
  const permission = operation['x-permission'] === 'none' ? 'open' : operation['x-permission'];
  details.append(
    element(
      'summary',
      '',
      element(
        'div',
        'title',
        element('span', `verb ${VERB}`, VERB),
        element('span', 'path', path),
        element('span', 'what', operation.summary),
        element('span', 'badge', permission),
      ),
    ),
  );
  const inside = element('div', 'inside');
  if (operation.description) inside.append(element('p', '', operation.description));
  if (operation.parameters.length > 0) {
    const rows = operation.parameters.map((one) => ({
      name: one.name,
      place: one.in,
      schema: one.schema,
      must: one.required,
      note: one.description,
    }));
    inside.append(element('h3', '', 'Parameters'), fieldTable(rows));
  }
  const body = operation.requestBody?.content['application/json'].schema;
  if (body) inside.append(element('h3', '', 'Body'), fieldTable(fields(body)));
  inside.append(
    element('h3', '', 'Answers'),
    ...answersTable(operation),
    element('h3', '', 'Example'),
    example(verb, path, operation),
  );
  details.append(inside);
  const made = element('article', '', details);
  made.id = operation.operationId;
  made.dataset.text = [VERB, path, operation.operationId, operation.summary, operation.description, permission]
    .join(' ')
    .toLowerCase();
  return made;
}

function problems(list) {
  const rows = list.map(({ code, status, title }) =>
    element(
      'tr',
      '',
      element('td', '', element('code', '', code)),
      element('td', 'quiet', String(status)),
      element('td', '', title),
    ),
  );
  const made = element('article', '', element('div', 'inside', element('table', '', element('tbody', '', ...rows))));
  made.id = 'problems';
  made.dataset.text = 'problem codes errors refusals ' + list.map(({ code }) => code).join(' ');
  return made;
}

function draw(spec) {
  const groups = spec.tags.map(({ name }) => ({ name, operations: [] }));
  for (const [path, verbs] of Object.entries(spec.paths)) {
    for (const verb of VERBS.filter((one) => verbs[one])) {
      groups.find(({ name }) => name === verbs[verb].tags[0]).operations.push({ verb, path, operation: verbs[verb] });
    }
  }
  const sections = groups.map(({ name, operations }) =>
    element(
      'section',
      '',
      element('h2', '', name),
      ...operations.map(({ verb, path, operation }) => article(verb, path, operation)),
    ),
  );
  sections.push(element('section', '', element('h2', '', 'Problem codes'), problems(spec['x-problems'])));
  document
    .querySelector('#main')
    .replaceChildren(element('h1', '', spec.info.title), element('p', 'quiet', spec.info.description), ...sections);
  document.querySelector('#nav').replaceChildren(
    ...groups.flatMap(({ name, operations }) => [
      element('h2', '', name),
      ...operations.map(({ verb, operation }) => {
        const link = element(
          'a',
          '',
          element('span', `verb ${verb.toUpperCase()}`, verb.toUpperCase()),
          operation.summary,
        );
        link.href = `#${operation.operationId}`;
        link.dataset.of = operation.operationId;
        return link;
      }),
    ]),
  );
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const one of document.querySelectorAll('article')) {
    one.hidden = !words.every((word) => one.dataset.text.includes(word));
    const link = document.querySelector(`nav a[data-of="${one.id}"]`);
    if (link) link.hidden = one.hidden;
  }
  for (const section of document.querySelectorAll('section'))
    section.hidden = !section.querySelector('article:not([hidden])');
}

/** The address of a route opens it. */
function openNamed() {
  const details = document.getElementById(location.hash.slice(1))?.querySelector('details');
  if (details) details.open = true;
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

async function start() {
  const main = document.querySelector('#main');
  try {
    const answer = await fetch('/api/v1/openapi.json');
    draw(await answer.json());
  } catch {
    main.replaceChildren(element('p', '', 'The document could not be loaded.'));
    return;
  }
  document.querySelector('#search').addEventListener('input', (event) => filter(event.target.value));
  addEventListener('hashchange', openNamed);
  openNamed();
}

start();
