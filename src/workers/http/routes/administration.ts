/** The operator's routes. Those that touch every account refuse a token of some accounts. */
import joi from 'joi';
import type { TradingState } from '../../../kernel/domain/account-request.js';
import type { AdminRequest } from '../../../kernel/ipc/control.js';
import * as answer from './answer-schemas.js';
import * as field from '../schema/fields.js';
import { accountOf, route } from './accounts.js';
import { BASE, type Call, type Doors, type Reply, type Route } from './route.js';

const accountPath = { account_id: field.accountId };
const reason = joi.string().max(200).description('Stands in the audit trail.');
const haltBody = joi
  .object({
    reason,
    state: field.oneOf('HALTED', 'REDUCING').description('REDUCING lets positions be closed. Default HALTED.'),
  })
  .label('Halt');
const resumeBody = joi.object({ reason }).label('Resume');
const HALTS = {
  halt: { reason: 'Investigating a strategy' },
  'let positions be closed': { reason: 'Winding down', state: 'REDUCING' },
};
const RESUMES = { resume: { reason: 'All clear' } };
const DONE: Route['answers'] = [{ status: 200, description: 'Done.', schema: answer.anyObject }];

type Shape = Pick<Route, 'name' | 'summary'> &
  Partial<Pick<Route, 'description' | 'path' | 'query' | 'body' | 'bodyExamples' | 'answers' | 'work'>>;

function administer(method: 'GET' | 'POST', template: string, shape: Shape, handle: Route['handle']): Route {
  return {
    method,
    template: `${BASE}${template}`,
    permission: 'admin',
    wholeInstance: shape.path === undefined,
    work: 'exempt',
    tag: 'Administration',
    bodyOptional: true,
    answers: DONE,
    ...shape,
    handle,
  };
}

function ask(make: (call: Call) => AdminRequest) {
  return (call: Call, doors: Doors): Promise<Reply> => doors.admin.execute(make(call));
}

function halted(call: Call): TradingState {
  return call.body['state'] === 'REDUCING' ? 'REDUCING' : 'HALTED';
}

function reasonOf(call: Call): string {
  const given = call.body['reason'];
  return typeof given === 'string' ? given : '';
}

function setAll(state: (call: Call) => TradingState) {
  return ask((call) => ({
    action: 'trading-state',
    state: state(call),
    reason: reasonOf(call),
    subject: call.context.subject,
  }));
}

function setOne(state: (call: Call) => TradingState) {
  return (call: Call, doors: Doors): Promise<Reply> =>
    route(
      { kind: 'set-trading-state', accountId: accountOf(call), state: state(call), reason: reasonOf(call) },
      call,
      doors,
    );
}

export const administrationRoutes: readonly Route[] = [
  administer(
    'GET',
    '/pool',
    {
      name: 'getPool',
      summary: 'Workers and their accounts by state',
      answers: [{ status: 200, description: 'The pool.', schema: answer.pool }],
    },
    ask(() => ({ action: 'pool' })),
  ),
  administer(
    'GET',
    '/pool/{account_id}',
    { name: 'getPoolAccount', summary: "One account's session", path: accountPath },
    (call, doors) => route({ kind: 'describe', accountId: accountOf(call) }, call, doors),
  ),
  administer(
    'POST',
    '/admin/reload',
    { name: 'reload', summary: 'Reload the configuration', description: 'Validated first, all or nothing.' },
    ask((call) => ({ action: 'reload', subject: call.context.subject })),
  ),
  administer(
    'POST',
    '/admin/halt',
    {
      name: 'haltAll',
      summary: 'Halt trading of every account',
      body: haltBody,
      bodyExamples: HALTS,
    },
    setAll(halted),
  ),
  administer(
    'POST',
    '/admin/resume',
    {
      name: 'resumeAll',
      summary: 'Resume trading of every account',
      body: resumeBody,
      bodyExamples: RESUMES,
    },
    setAll(() => 'ACTIVE'),
  ),
  administer(
    'POST',
    '/admin/accounts/{account_id}/halt',
    {
      name: 'haltAccount',
      summary: 'Halt trading of one account',
      path: accountPath,
      body: haltBody,
      bodyExamples: HALTS,
    },
    setOne(halted),
  ),
  administer(
    'POST',
    '/admin/accounts/{account_id}/resume',
    {
      name: 'resumeAccount',
      summary: 'Resume trading of one account',
      path: accountPath,
      body: resumeBody,
      bodyExamples: RESUMES,
    },
    setOne(() => 'ACTIVE'),
  ),
  administer(
    'POST',
    '/admin/profile',
    {
      name: 'profile',
      summary: 'Profile of a worker',
      description: 'A `.cpuprofile` or a sampled `.heapprofile` for the browser tools. One at a time.',
      query: {
        seconds: field.count(30).default(5),
        worker: joi
          .number()
          .integer()
          .min(0)
          .max(1_000)
          .description('Slot of the worker; absent: the one that answers.'),
        kind: field.oneOf('cpu', 'heap').default('cpu').description('What is sampled.'),
      },
    },
    ask((call) => {
      const { worker, kind, seconds } = call.query;
      return {
        action: 'profile',
        ...(worker !== undefined && { worker: Number(worker) }),
        what: kind === 'heap' ? 'heap' : 'cpu',
        seconds: Number(seconds ?? 5),
        subject: call.context.subject,
      };
    }),
  ),
];
