// The order core broken on purpose, one way at a time. Each must be found by the simulation within 200 seeds.
const orders = (file) => `src/workers/orders/${file}`;
const journal = (file) => `src/kernel/journal/${file}`;

export const MUTANTS = [
  {
    name: 'skip fsync: do not wait for the journal to be on disk',
    edits: [
      {
        file: journal('account-journal.ts'),
        find: 'if (writes.length > 0) await this.store.commit(writes);',
        replace: 'if (writes.length > 0) void this.store.commit(writes).catch(() => undefined);',
      },
    ],
  },
  {
    name: 'send before the intent is durable',
    edits: [
      {
        file: orders('account-desk.ts'),
        find: 'if (!(await makeDurable(live, likeness, this.journal, ports))) {',
        replace: 'void makeDurable(live, likeness, this.journal, ports); if (false) {',
      },
    ],
  },
  {
    name: 'send without waiting for the audit trail',
    edits: [
      {
        file: orders('durable-intent.ts'),
        find: "ports.audit.append({ kind: 'intent', accountId, subject, requestId, facts }),",
        replace:
          "void ports.audit.append({ kind: 'intent', accountId, subject, requestId, facts }).catch(() => undefined),",
      },
    ],
  },
  {
    name: 'resend without an audit record',
    edits: [
      { file: orders('intent-driver.ts'), find: ', this.#auditAttempt(attempts)]', replace: ']' },
      { file: orders('account-desk.ts'), find: 'void auditRecovered(open, this.shared.ports);', replace: '' },
    ],
  },
  {
    name: 'new id per attempt',
    edits: [
      {
        file: orders('intent-driver.ts'),
        find: 'body: intent.body,\n      lane',
        replace: `body: number === 1 ? intent.body : intent.body.replace('"client_order_id":"g1', '"client_order_id":"g2'),\n      lane`,
      },
    ],
  },
  {
    name: 'new id per request, whatever the key',
    edits: [
      {
        file: orders('intent-plan.ts'),
        find: 'const seed = scope ?? uuidV7',
        replace: 'const seed = uuidV7',
      },
      {
        file: orders('known-intents.ts'),
        find: 'const clientOrderId = keyed ?? identity.clientOrderId;',
        replace: 'const clientOrderId = identity.clientOrderId;',
      },
    ],
  },
  {
    name: '404 of a lookup as absence',
    edits: [
      {
        file: orders('intent-driver.ts'),
        find: 'if (reply.status === 404) this.#misses += 1;',
        replace:
          "if (reply.status === 404) this.live.note({ kind: 'attempt', attempt: 1, result: { kind: 'not-sent', reason: 'absent', detail: '' } });",
      },
      { file: orders('core/outcome.ts'), find: "'not-sent': 1,", replace: "'not-sent': 5.5," },
    ],
  },
  {
    name: '403 on attempt 2 as reject',
    edits: [
      {
        file: orders('core/outcome.ts'),
        find: 'const [first] = mayHaveReached;',
        replace:
          "const [first] = [...mayHaveReached].sort((a, b) => Number(b.kind === 'refused') - Number(a.kind === 'refused'));",
      },
      {
        file: orders('core/outcome.ts'),
        find: "if (mayHaveReached.length === 1 && first.kind === 'refused')",
        replace: "if (first.kind === 'refused')",
      },
    ],
  },
  {
    name: 'a duplicate id as an ordinary refusal',
    edits: [
      {
        file: orders('core/classify.ts'),
        find: 'return status === 422 &&',
        replace: 'return false && status === 422 &&',
      },
    ],
  },
  {
    name: '5xx as a refusal',
    edits: [{ file: orders('core/classify.ts'), find: '415, 422]', replace: '415, 422, 500, 502, 503, 504]' }],
  },
  {
    name: 'a lost answer as not sent',
    edits: [
      {
        file: orders('core/classify.ts'),
        find: "return { kind: 'ambiguous', detail: reply.detail };",
        replace: "return { kind: 'not-sent', reason: 'connect', detail: reply.detail };",
      },
    ],
  },
  {
    name: 'the answer is not compared with the order',
    edits: [
      {
        file: orders('core/classify.ts'),
        find: '|| !matchesIntent(intent, order)',
        replace: '',
      },
    ],
  },
  {
    name: "a dead owner's open intents as not sent",
    edits: [
      {
        file: orders('core/outcome.ts'),
        find: "if (takenOver) return { state: late ? 'ABANDONED' : 'UNKNOWN', late };",
        replace:
          "if (takenOver) return { state: 'NOT_SENT', late, notSent: { kind: 'not-sent', reason: 'restart', detail: '' } };",
      },
    ],
  },
  {
    name: "a dead owner's open intents are forgotten",
    edits: [
      {
        file: orders('account-desk.ts'),
        find: 'const open = this.journal.openIntents().map(',
        replace: 'const open = this.journal.openIntents().slice(0, 0).map(',
      },
    ],
  },
  {
    name: 'an account that moves leaves its records behind',
    edits: [
      {
        file: journal('slot-journal.ts'),
        find: 'await this.#bring(accountId, newest.store);',
        replace: 'void newest;',
      },
    ],
  },
  {
    name: 'resume without lease check',
    edits: [
      {
        file: orders('account-desk.ts'),
        find: 'return allowed && !this.stopped.aborted && ports.fence.holds(this.session.accountId);',
        replace: 'return allowed && !this.stopped.aborted;',
      },
    ],
  },
  {
    name: 'answer before the outcome is durable',
    edits: [
      {
        file: orders('intent-driver.ts'),
        find: 'if (await this.#record(outcome)) {',
        replace: 'void this.#record(outcome); if (outcome) {',
      },
    ],
  },
  {
    name: 'the second attempt is not counted on disk',
    edits: [
      {
        file: orders('intent-driver.ts'),
        find: 'this.context.journal.amendIntent(this.live.intent), this.#audit',
        replace: 'this.#audit',
      },
    ],
  },
  {
    name: 'resend whatever the age',
    edits: [
      { file: orders('core/schedule.ts'), find: 'if (facts.ageMs >= facts.maxAgeMs) return false;', replace: '' },
      {
        file: orders('intent-driver.ts'),
        find: 'return this.live.ageMs < this.live.intent.maxAgeMs && !this.context.stopped.aborted;',
        replace: 'return !this.context.stopped.aborted;',
      },
    ],
  },
  {
    name: 'every telling of a fill is audited',
    edits: [
      {
        file: journal('account-journal.ts'),
        find: 'return this.#executionsUnderWay.has(executionId) ||',
        replace: 'return false && this.#executionsUnderWay.has(executionId) ||',
      },
      {
        file: journal('account-journal.ts'),
        find: 'this.#get(`x/${executionId}`) !== undefined',
        replace: 'false',
      },
    ],
  },
  {
    name: "a dead owner's pending fills are not audited",
    edits: [{ file: orders('account-desk.ts'), find: 'this.events.finishPendingFills();', replace: '' }],
  },
  {
    name: 'a fill that could not be audited is forgotten',
    edits: [
      {
        file: orders('event-recorder.ts'),
        find: 'if (!(await this.#audit(owed))) this.#owe(owed);',
        replace: 'await this.#audit(owed);',
      },
    ],
  },
  {
    name: 'a byte leaves without its mark',
    edits: [
      {
        file: orders('intent-driver.ts'),
        find: 'return firstByte === undefined || (this.context.ports.firstBytes?.set(firstByte) ?? true);',
        replace: 'return true;',
      },
    ],
  },
];
