/** Citations lead somewhere, and to what they say. */
import { expect, test } from '@jest/globals';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import {
  commentsOf,
  slugs,
  wrongInPage,
  wrongInText,
  wrongRules,
  type Sources,
} from '../../support/citations.js';

const ROOT = process.cwd();
const CODE = ['src', 'test', 'bench', 'scripts', 'config', 'deploy'];
/** These name citations that lead nowhere. */
const OWN = new Set(['test/support/citations.ts', 'test/unit/docs/citations.test.ts', 'test/unit/docs/checks.test.ts']);

/** A folder is a place too, without a text. */
function read(path: string): string | undefined {
  try {
    return statSync(join(ROOT, path)).isDirectory() ? '' : readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}

function filesIn(folder: string, ending: RegExp): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

const sources: Sources = { read, decisions: readdirSync(join(ROOT, 'docs/decisions')) };
const pages = [...filesIn('docs', /\.md$/), ...readdirSync(ROOT).filter((name) => name.endsWith('.md'))];
const code = CODE.flatMap((folder) => filesIn(folder, /\.(?:ts|mjs|cjs|js|ya?ml|json|conf|cfg|service|md)$/))
  .concat('ecosystem.config.js', 'Dockerfile', 'eslint.config.mjs', '.dependency-cruiser.cjs')
  .filter((path) => !OWN.has(path) && !path.startsWith('test/payloads/'));

/** Comment decoration would stand between a page and its rule number. */
const joined = (text: string): string => text.replaceAll(/\n\s*(?:\*|\/\/|#) ?/g, ' ');

test('every citation in code leads to a page, heading, rule, decision or document that exists', () => {
  const wrong = code.flatMap((path) =>
    wrongInText(joined(read(path) ?? ''), sources).map((what) => `${path}: ${what}`),
  );
  expect(wrong).toEqual([]);
});

test('every rule number in a comment is a rule, and the file names its page', () => {
  const wrong = code
    .filter((path) => /^(?:src|test|bench)\/.*\.ts$/.test(path))
    .flatMap((path) => wrongRules(commentsOf(read(path) ?? ''), sources).map((what) => `${path}: ${what}`));
  expect(wrong).toEqual([]);
});

test('every test that is named by a number names a rule or fault of the page', () => {
  const wrong = code
    .filter((path) => path.startsWith('test/') && path.endsWith('.test.ts'))
    .flatMap((path) =>
      [...(read(path) ?? '').matchAll(/(?:test|describe|it)(?:\.each\([^`]*?\))?\(\s*['"`]([RIKLOF]\d{1,2}\b)/g)].map(
        ([, number = '']) => ({ path, number }),
      ),
    )
    .filter(({ number }) => !new RegExp(`^\\| ${number} +\\|`, 'm').test(read('docs/order-protocol.md') ?? ''));
  expect(wrong).toEqual([]);
});

test('every link between pages leads to a file and a heading', () => {
  const wrong = pages.flatMap((path) => {
    const text = read(path) ?? '';
    return [...wrongInPage(path, text, sources), ...wrongInText(text, sources)].map((what) => `${path}: ${what}`);
  });
  expect(wrong).toEqual([]);
});

test.each([
  ['a page that is not there', 'see docs/nowhere.md', 'docs/nowhere.md: no such page'],
  ['another title', 'docs/security.md#no-such-title', 'docs/security.md#no-such-title: no such heading'],
  ['a rule that is not defined', 'docs/order-protocol.md R4, R99', 'docs/order-protocol.md R99: no such rule'],
  ['a rule of a page without rules', 'docs/security.md R1', 'docs/security.md R1: that page has no rules'],
  ['a decision that was not written', 'decision 999', 'decision 999: no such page'],
  ['a document outside', 'the table of RELIABILITY 2.3', 'RELIABILITY: not in the repository'],
  ['an RFC by a wrong number', 'RFC 9547', 'RFC 9547: not in the list'],
  [
    'a page of the vendor that is not listed',
    'https://docs.alpaca.markets/docs/nowhere',
    "https://docs.alpaca.markets/docs/nowhere: not among the vendor's pages of docs/broker-wire.md",
  ],
])('found in a text: %s', (_name, text, finding) => {
  expect(wrongInText(text, sources)).toEqual([finding]);
});

test('found in comments: a number without a rule, and a number without a page', () => {
  expect(wrongRules('/** R4 of docs/order-protocol.md */', sources)).toEqual([]);
  expect(wrongRules('/** (R4) */', sources)).toEqual([
    'R4: the file does not say of which page (docs/order-protocol.md)',
  ]);
  expect(wrongRules('docs/order-protocol.md R77', sources)).toEqual(['R77: no such rule']);
  expect(commentsOf('const R5 = 1; // R4\n/* I1\n * I2 */')).toBe('// R4\n/* I1 I2 */');
});

test('found in a page: a dead link, a dead heading, a page of the vendor under another title', () => {
  expect(wrongInPage('docs/x.md', '[a](security.md#framing) [b](gone.md) [c](#here)', sources)).toEqual([
    'gone.md: no such file',
    '#here: no such file',
  ]);
  expect(wrongInPage('docs/security.md', '[a](#not-a-heading)', sources)).toEqual(['#not-a-heading: no such heading']);
  expect(wrongInPage('docs/broker-wire.md', '*Placing Orders*, and **bold**', sources)).toEqual([
    'Placing Orders: not in the table',
  ]);
  expect(slugs("# A request's way\n## A request's way\n```\n# no\n```")).toEqual(
    new Set(['a-requests-way', 'a-requests-way-1']),
  );
});
