// Sums a .cpuprofile: `node scripts/profile-summary.mjs FILE.cpuprofile [lines]` prints self time, and time with callees,
// by function, in percent of the time that was not idle.
import { readFileSync } from 'node:fs';

const [file, lines = '30'] = process.argv.slice(2);
if (file === undefined) {
  console.error('node scripts/profile-summary.mjs FILE.cpuprofile [lines]');
  process.exit(2);
}
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
const byId = new Map(nodes.map((node) => [node.id, node]));
const parent = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
const nameOf = ({ callFrame: { functionName, url, lineNumber } }) =>
  `${functionName || '(anonymous)'} ${url.split('/').slice(-3).join('/')}:${lineNumber + 1}`;
const self = new Map();
const total = new Map();
let busy = 0;
samples.forEach((id, index) => {
  const node = byId.get(id);
  if (node.callFrame.functionName === '(idle)') return;
  const spent = timeDeltas[index];
  busy += spent;
  self.set(nameOf(node), (self.get(nameOf(node)) ?? 0) + spent);
  const names = new Set();
  for (let at = id; at !== undefined; at = parent.get(at)) names.add(nameOf(byId.get(at)));
  for (const name of names) total.set(name, (total.get(name) ?? 0) + spent);
});
const print = (title, sums) => {
  console.log(`\n${title} (of ${(busy / 1e3).toFixed(0)} ms busy)`);
  for (const [name, spent] of [...sums].sort((a, b) => b[1] - a[1]).slice(0, Number(lines)))
    console.log(`${((spent / busy) * 100).toFixed(1).padStart(5)} %  ${name}`);
};
print('self', self);
print('with callees', total);
