// `npm run sim:exposure-mutants [-- --seeds 6000 --only NAME]`: closes, limits and reservations broken on purpose, one way at a time.
// Prints which program found each; a mutant that lives is a failure.
import { option, SimulationBuild } from './simulation.mjs';

const orders = (file) => `src/workers/orders/${file}`;
const MUTANTS = [
  [
    'forget what is under way',
    'exposure/exposure.ts',
    '    for (const { intent, body } of this.#underWay()) {',
    '    for (const { intent, body } of []) {',
  ],
  [
    'forget orders that work',
    'exposure/exposure.ts',
    '    for (const order of this.#working()) yield*',
    '    for (const order of []) yield*',
  ],
  [
    'forget fills that only an answer showed',
    'exposure/exposure.ts',
    'let sum = this.parts.answered.qty(instrument.key, side);',
    'let sum = ZERO;',
  ],
  [
    'an unknown size holds nothing',
    'exposure/exposure.ts',
    'if (leaves.qty === undefined) return undefined;',
    'if (leaves.qty === undefined) continue;',
  ],
  [
    'a replacement whose original gave way holds nothing',
    'exposure/exposure.ts',
    "if (original['status'] === 'replaced') {",
    "if (original['status'] === 'replaced') return [];\n    if (false) {",
  ],
  [
    'trust the mirror in a close',
    'close-desk.ts',
    'const read = await settledPosition(desk, instrument);',
    "const seen = desk.session.mirror.position(instrument.symbol);\n  const read = seen === undefined ? await settledPosition(desk, instrument) : { kind: 'found' as const, value: seen };",
  ],
  ['a close beside another', 'close-desk.ts', '  if (working !== undefined) return working;', ''],
  ['a position read once, however late', 'close-desk.ts', 'if (isSettled || desk.stopped.aborted) {', 'if (true) {'],
  [
    'the close is not computed again',
    'account-desk.ts',
    'const computed = refusal === undefined ? compute?.() : undefined;',
    'const computed = undefined as ComputedOrder | undefined;',
  ],
  [
    'a part of the position is rounded up',
    'close-position.ts',
    'const part = truncateDecimal(',
    'const part = ((d: Decimal) => ({ digits: d.digits + 1n, scale: d.scale }))(',
  ],
  [
    'a sell limit is worth its limit',
    'risk/order-value.ts',
    "if (limit !== undefined && (!isSell || order.type === 'stop_limit')) return limit;",
    'if (limit !== undefined) return limit;',
  ],
  [
    'a contract is worth a share',
    'risk/order-value.ts',
    'const units = multiplyDecimals(absolute(order.qty), leg.instrument.multiplier);',
    'const units = absolute(order.qty);',
  ],
  [
    'names are compared as text',
    'risk/symbol-rules.ts',
    'const named = instrumentOfSymbol(name)?.key ?? name.toUpperCase();',
    'const named = name;',
  ],
  [
    'counts begin again after a takeover',
    'account-desk.ts',
    '    this.#recent.inherit(',
    '    if (false) this.#recent.inherit(',
  ],
  [
    'a replacement is any order',
    'core/order-match.ts',
    "if (kind === 'replace' && order['replaces'] !== replaces) return false;",
    '',
  ],
  ['a refused key is final', 'core/classify.ts', '  if (speaksOfKeys(status, said)) {', '  if (false) {'],
  [
    'fills are taken in the order of arrival',
    'accounts',
    "const isOlder = isEarlier(at, this.#filledAt.get(key) ?? '');",
    'const isOlder = false;',
  ],
];

const seeds = option('seeds', 6_000);
// `--only TEXT`: the mutants whose name contains it.
const only = process.argv[process.argv.indexOf('--only') + 1];
const chosen = process.argv.includes('--only') ? MUTANTS.filter(([name]) => name.includes(only)) : MUTANTS;
let living = 0;
console.log('| mutant | killed by program | with |\n|---|---|---|');
for (const [name, file, find, replace] of chosen) {
  const build = new SimulationBuild('exposure-mutant');
  try {
    build.compile([{ file: file === 'accounts' ? 'src/workers/accounts/mirror.ts' : orders(file), find, replace }]);
    const { firstFailure } = await build.load('exposure/run-exposure.js');
    const failure = await firstFailure(1, seeds);
    if (failure === undefined) living += 1;
    console.log(`| ${name} | ${failure?.seed ?? 'LIVES'} | ${failure?.wrong[0]?.slice(0, 90) ?? ''} |`);
  } finally {
    build.remove();
  }
}
console.log(`\n${chosen.length - living} of ${chosen.length} mutants killed`);
process.exitCode = living === 0 ? 0 : 1;
