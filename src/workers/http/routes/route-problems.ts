/** Which problem codes a route can answer with, beyond those of every route: derived from what the route asks for. */
import type { ProblemCode } from '../../../kernel/domain/problem.js';
import type { Route } from './route.js';

/** Any request can meet these, whatever its address. */
export const GENERAL_PROBLEMS: readonly ProblemCode[] = [
  'request-malformed',
  'not-found',
  'method-not-allowed',
  'request-timeout',
  'uri-too-long',
  'headers-too-large',
  'https-required',
  'draining',
  'internal-error',
];

const ACCOUNT: readonly ProblemCode[] = [
  'account-not-found',
  'account-unavailable',
  'owner-unavailable',
  'misdirected-request',
];
const BROKER: readonly ProblemCode[] = [
  'broker-refused',
  'broker-credentials-refused',
  'broker-unreadable',
  'broker-unreachable',
  'broker-timeout',
  'rate-limited',
];
const SUBMIT: readonly ProblemCode[] = [
  'risk-denied',
  'trading-halted',
  'venue-rejected',
  'order-not-sent',
  'lease-lost',
  'outcome-unknown-open',
  'client-order-id-collision',
];
const KEYED: readonly ProblemCode[] = [
  'idempotency-key-malformed',
  'idempotency-key-required',
  'idempotency-key-reused',
  'request-in-flight',
];

export function problemsOf(route: Route): readonly ProblemCode[] {
  const fields = Object.keys({ ...route.path, ...route.query }).length > 0 || route.body !== undefined;
  const isTrade = route.permission === 'trade';
  const asksBroker = isTrade || route.permission === 'read' || route.permission === 'market_data';
  return [
    ...when(fields, ['validation-failed']),
    ...when(route.permission !== 'none', ['unauthenticated', 'permission-missing', 'rate-limited']),
    ...when(route.template.includes('{account_id}'), ACCOUNT),
    ...when(route.template.includes('{symbol}'), ['symbol-not-found']),
    ...when(/\{(?:client_)?order_id\}/.test(route.template), ['order-not-found']),
    ...when(route.body !== undefined, ['payload-too-large', 'unsupported-media-type']),
    ...when(route.places !== undefined, KEYED),
    ...when(isTrade && route.work === 'order', SUBMIT),
    ...when(isTrade && route.work === 'cancel', ['venue-rejected', 'order-not-sent', 'lease-lost']),
    ...when(route.permission === 'market_data', ['market-data-unavailable']),
    ...when(asksBroker, BROKER),
    ...when(route.work === 'read' || route.work === 'order', ['overloaded']),
    ...when(route.name === 'openStream', ['upgrade-required', 'origin-not-allowed', 'unauthenticated', 'rate-limited']),
    ...when(route.name === 'profile', ['request-in-flight']),
  ].filter((code, index, all) => all.indexOf(code) === index);
}

function when(holds: boolean, codes: readonly ProblemCode[]): readonly ProblemCode[] {
  return holds ? codes : [];
}
