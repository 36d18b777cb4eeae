/** Layer rules. Each says why it exists; the picture is in docs/architecture.md. */
const forbid = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to });

module.exports = {
  forbidden: [
    forbid('no-cycles', 'Two modules in a cycle are one module.', {}, { circular: true }),
    forbid('mains-are-roots', 'Composition roots are started, not imported.', {}, { path: '^src/[^/]+/main[.]ts$' }),

    // Processes meet only in kernel (messages, types) and threads/tasks (work).
    forbid(
      'primary-is-alone',
      'It must survive any bug in worker code.',
      { path: '^src/primary/' },
      { path: '^src/(workers|threads|simulator|cli)/' },
    ),
    forbid(
      'workers-see-only-task-types',
      'Work crosses to a thread as data.',
      { path: '^src/workers/', pathNot: '^src/workers/main[.]ts$' },
      { path: '^src/(primary|simulator|cli)/|^src/threads/(?!tasks[.]ts$)' },
    ),
    forbid(
      'threads-are-pure',
      'The same function runs in a thread, inline and in a test.',
      { path: '^src/threads/' },
      { path: '^src/(?!threads/|kernel/(domain|runtime|shared-memory)/)' },
    ),

    // The kernel depends on nothing above it, and has an order inside.
    forbid(
      'kernel-is-a-leaf',
      'Shared code cannot know who shares it.',
      { path: '^src/kernel/' },
      { path: '^src/(?!kernel/)' },
    ),
    forbid(
      'domain-is-pure',
      'Vocabulary only: no package, no Node, no other layer.',
      { path: '^src/kernel/domain/' },
      { pathNot: '^src/kernel/domain/' },
    ),
    forbid(
      'runtime-knows-no-domain',
      'Clocks and queues are not about trading.',
      { path: '^src/kernel/runtime/' },
      { path: '^src/', pathNot: '^src/kernel/runtime/' },
    ),
    forbid(
      'kernel-siblings-are-strangers',
      'They are wired together in a main.ts.',
      { path: '^src/kernel/(ipc|config|auth|audit|journal|shared-memory|secrets|telemetry)/' },
      { path: '^src/kernel/(?!(domain|runtime|$1)/)' },
    ),

    // Inside a worker: http, streams -> routing -> orders -> accounts -> alpaca.
    forbid(
      'wire-knows-no-use-case',
      'The wire translates; it decides nothing.',
      { path: '^src/workers/alpaca/' },
      { path: '^src/workers/(?!alpaca/)' },
    ),
    forbid(
      'only-accounts-touch-the-wire',
      "Alpaca's shapes and limits belong to the session.",
      { path: '^src/workers/', pathNot: '^src/workers/(alpaca/|accounts/|market-data/|main[.]ts$|compose/)' },
      { path: '^src/workers/alpaca/' },
    ),
    forbid(
      'accounts-below-orders',
      'A session does not know the use cases run on it.',
      { path: '^src/workers/accounts/' },
      { path: '^src/workers/(?!accounts/|alpaca/)' },
    ),
    forbid(
      'orders-below-routing',
      'A use case does not know how it was called.',
      { path: '^src/workers/orders/' },
      { path: '^src/workers/(http|streams|routing|market-data|compose)/' },
    ),
    forbid(
      'routing-below-edges',
      'Routing serves HTTP, WebSocket and IPC alike.',
      { path: '^src/workers/routing/' },
      { path: '^src/workers/(http|streams|compose)/' },
    ),
    forbid(
      'market-data-beside-accounts',
      'The hub serves every edge and knows none.',
      { path: '^src/workers/market-data/' },
      { path: '^src/workers/(http|streams|routing|orders|compose)/' },
    ),
    forbid(
      'edges-go-through-routing',
      'A route that reaches an account skips ownership, risk and audit.',
      { path: '^src/workers/(http|streams)/' },
      { path: '^src/workers/(orders|accounts|alpaca)/' },
    ),
    forbid(
      'express-only-at-the-edge',
      'HTTP is a way in, not a way of thinking.',
      { path: '^src/', pathNot: '^src/(workers/http|primary/control-plane|simulator)/' },
      { path: '^(express|node_modules/express)' },
    ),
    forbid(
      'sdk-only-on-the-wire',
      'One place knows the SDK.',
      { path: '^src/', pathNot: '^src/workers/alpaca/' },
      { path: 'node_modules/@alpacahq/' },
    ),

    // Witnesses and tests.
    forbid(
      'simulator-is-independent',
      'If it shared our parser it would share our mistakes.',
      { path: '^src/simulator/' },
      { path: '^src/(?!simulator/)' },
    ),
    forbid('src-not-to-test', 'Production code does not know its tests.', { path: '^src/' }, { path: '^test/' }),
    forbid(
      'no-dev-packages-in-src',
      'It would be missing from the image.',
      { path: '^src/' },
      { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: '/@types/' },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
