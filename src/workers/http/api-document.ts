/** docs/api.md: the tables of routes, problem codes and stream codes, made from what the gateway runs on. */
import { PERMISSIONS, type Permission } from '../../kernel/domain/permissions.js';
import { PROBLEMS } from '../../kernel/domain/problem.js';
import { GENERAL_PROBLEMS, problemsOf } from './routes/route-problems.js';
import type { Route } from './routes/route.js';

const HEAD = `# API

Made from the route table, the problem codes and the stream codes by \`npm run docs\`; do not edit. A running gateway
serves the same as a page at \`/docs\`, as OpenAPI 3.1 at \`/api/v1/openapi.json\` and, for the stream, as AsyncAPI 3.0 at
\`/api/v1/asyncapi.json\`.

Every guarded request carries \`Authorization: Bearer <JWT>\`. Trading answers are Alpaca's own JSON; money and quantities
are decimal text. An order answered with 202 and \`"status":"unknown"\` was sent: ask at \`Location\`, and never send it
again under another id.
`;

const PERMISSION_WORDS: Readonly<Record<Permission, string>> = {
  market_data: 'quotes, bars, chains, assets, clock and calendar',
  read: 'accounts, positions, orders, activities',
  trade: 'submit, replace, cancel, close',
  audit: 'the audit trail of an account',
  admin: 'pool, reload, halt, resume, profile',
};

export interface StreamCodes {
  readonly errors: Readonly<Record<string, string>>;
  readonly closeCodes: Readonly<Record<string, number>>;
}

export function apiDocument(routes: readonly Route[], streams: StreamCodes): string {
  return [HEAD, permissions(), ...routesByTag(routes), problems(routes), streamCodes(streams)].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

const mono = (text: string | number): string => `\`${text}\``;

function permissions(): string {
  const rows = PERMISSIONS.map((name) => [mono(name), PERMISSION_WORDS[name]]);
  return `## Permissions\n\n${table(['Permission', 'What it allows'], rows)}`;
}

function routesByTag(routes: readonly Route[]): string[] {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  return tags.map((tag) => {
    const rows = routes.filter((route) => route.tag === tag).map(routeRow);
    return `## ${tag}\n\n${table(['Route', 'Permission', 'What it does', 'Takes', 'Answers'], rows)}`;
  });
}

function routeRow(route: Route): string[] {
  const permission = route.wholeInstance === true ? `${asked(route)}, of all accounts` : asked(route);
  const also = (route.aliases ?? []).map((alias) => ` (also ${mono(alias)})`).join('');
  const takes = [
    ...Object.keys(route.query ?? {}).map(mono),
    ...(route.body === undefined ? [] : ['a JSON body']),
    ...(route.places !== undefined ? [mono('Idempotency-Key')] : []),
  ];
  const answers = route.answers.map(({ status }) => String(status)).join(', ');
  return [`${mono(`${route.method} ${route.template}`)}${also}`, permission, route.summary, takes.join(', '), answers];
}

function asked(route: Route): string {
  // The stream looks at the token itself, channel by channel.
  if (route.name === 'openStream') return "its channels'";
  return route.permission === 'none' ? 'open' : mono(route.permission);
}

function problems(routes: readonly Route[]): string {
  const rows = Object.entries(PROBLEMS).map(([code, { status, title }]) => {
    const general = GENERAL_PROBLEMS.some((one) => one === code);
    const named = routes.filter((route) => problemsOf(route).some((one) => one === code));
    return [mono(code), String(status), title, general ? 'any route' : whereMet(named, routes)];
  });
  return `## Problem codes

A refusal is \`application/problem+json\` (RFC 9457) with \`code\`, \`detail\` and \`request_id\`. Rely on \`code\`: titles and
details may change. The broker's own words stand in \`alpaca\`, and a broker's refusal keeps the broker's status.

${table(['Code', 'Status', 'What it says', 'Where'], rows)}`;
}

/** A few routes by name; more than that by their group. */
const NAMED_MAX = 4;

function whereMet(named: readonly Route[], all: readonly Route[]): string {
  if (named.length === 0) return 'the stream';
  if (named.length <= NAMED_MAX) return named.map(({ name }) => mono(name)).join(', ');
  if (named.length === all.filter(({ permission }) => permission !== 'none').length) return 'every guarded route';
  return [...new Set(named.map(({ tag }) => tag))].join(', ');
}

function streamCodes({ errors, closeCodes }: StreamCodes): string {
  const errorRows = Object.entries(errors).map(([code, meaning]) => [mono(code), meaning]);
  const closeRows = Object.entries(closeCodes)
    .sort(([, a], [, b]) => a - b)
    .map(([name, code]) => [mono(code), name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)]);
  return `## Stream

One WebSocket at \`/api/v1/stream\`. An error is a record \`{"type":"error","code":…,"detail":…}\`; a client that cannot go on
is closed with one of the close codes, beside those of RFC 6455 7.4.1 (1007 invalid UTF-8, 1009 message too big).

### Stream errors

${table(['Code', 'What it says'], errorRows)}
### Close codes

${table(['Close code', 'Why'], closeRows)}`;
}
