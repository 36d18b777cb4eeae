/**
 * Citations in comments, texts and pages: `docs/page.md`, `docs/page.md#heading`, `docs/order-protocol.md R4`, a bare rule
 * number, `decision 22`, `RFC 9457`, a page of the vendor, a relative link. Each must lead to something that says so.
 */

export interface Sources {
  /** Text of a file of the repository; undefined when there is none. */
  readonly read: (path: string) => string | undefined;
  /** Names of the files in docs/decisions. */
  readonly decisions: readonly string[];
}

export const PROTOCOL = 'docs/order-protocol.md';
export const WIRE = 'docs/broker-wire.md';

/** Documents that are not in the repository: no citation may need them. */
const OUTSIDE =
  /\b(?:RELIABILITY|REALITY)\b|\b(?:DESIGN|ALPACA|STYLE|NAMES|SDK)\.md\b|\b(?:DESIGN|ALPACA) \d|wire contract/g;
const RULE = /\b[RIKLOF]\d{1,2}\b/g;
const PAGE = /\bdocs\/[\w/-]+\.md(?:#[\w-]+)?(?: [RIKLOF]\d{1,2}(?:, [RIKLOF]\d{1,2})*\b)?/g;
const DECISION = /\bdecisions?[ /](\d{1,4})\b/gi;
const VENDOR = /https:\/\/docs\.alpaca\.markets\/[\w/-]+/g;
const RFC = /\bRFC ?(\d{4})\b/g;
/** One that is new here is looked at and added: a wrong number is a real document too. */
const RFCS: Readonly<Record<string, string>> = {
  '3339': 'Date and Time on the Internet: Timestamps',
  '3986': 'URI: Generic Syntax',
  '4180': 'Common Format and MIME Type for CSV Files',
  '6455': 'The WebSocket Protocol',
  '6570': 'URI Template',
  '7515': 'JSON Web Signature',
  '7519': 'JSON Web Token',
  '8259': 'The JSON Data Interchange Format',
  '8725': 'JSON Web Token Best Current Practices',
  '9110': 'HTTP Semantics',
  '9112': 'HTTP/1.1',
  '9457': 'Problem Details for HTTP APIs',
  '9562': 'UUIDs',
};

/** What is wrong with the citations in a comment or text of code; empty when nothing is. */
export function wrongInText(text: string, sources: Sources): readonly string[] {
  return [
    ...[...text.matchAll(OUTSIDE)].map(([cited]) => `${cited}: not in the repository`),
    ...[...text.matchAll(PAGE)].flatMap(([cited]) => wrongPage(cited, sources)),
    ...[...text.matchAll(DECISION)].flatMap(([cited, number = '']) =>
      sources.decisions.some((name) => name.startsWith(`${number.padStart(4, '0')}-`))
        ? []
        : [`${cited}: no such page`],
    ),
    ...[...text.matchAll(RFC)].flatMap(([cited, number = '']) => (number in RFCS ? [] : [`${cited}: not in the list`])),
    ...[...text.matchAll(VENDOR)].flatMap(([cited]) =>
      sources.read(WIRE)?.includes(`<${cited}>`) === true ? [] : [`${cited}: not among the vendor's pages of ${WIRE}`],
    ),
  ];
}

/** Rule numbers in the comments of a file: defined, and the file says where. */
export function wrongRules(comments: string, sources: Sources): readonly string[] {
  const cited = [...new Set([...comments.matchAll(RULE)].map(([number]) => number))];
  const unknown = cited.filter((number) => !isRule(number, sources)).map((number) => `${number}: no such rule`);
  return cited.length === 0 || comments.replaceAll(/\s*\*?\s+/g, ' ').includes(PROTOCOL)
    ? unknown
    : [...unknown, `${cited.join(', ')}: the file does not say of which page (${PROTOCOL})`];
}

/** Relative links of a page, and the names of the vendor's pages in italics of the wire page. */
export function wrongInPage(path: string, text: string, sources: Sources): readonly string[] {
  const links = [...text.matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(([, target = '']) => target);
  const wrong = links.flatMap((target) => {
    const [file = '', anchor] = target.split('#');
    const page = file === '' ? path : resolved(path, file);
    const found = sources.read(page);
    if (found === undefined) return [`${target}: no such file`];
    return anchor === undefined || slugs(found).has(anchor) ? [] : [`${target}: no such heading`];
  });
  if (path !== WIRE) return wrong;
  const named = [...text.matchAll(/(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)/g)].map(([, name = '']) => name);
  return [
    ...wrong,
    ...named
      .filter((name) => !new RegExp(`^\\| [^|]*${escaped(name)}[^|]* \\| <https`, 'm').test(text))
      .map((name) => `${name}: not in the table`),
  ];
}

/** The comments of a TypeScript file, each with its lines joined. */
export function commentsOf(code: string): string {
  const blocks = [...code.matchAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/gm)].map(([comment]) => comment);
  return blocks.join('\n').replaceAll(/\n\s*\* ?/g, ' ');
}

function wrongPage(cited: string, sources: Sources): readonly string[] {
  const [place = '', ...rules] = cited.split(/,? /);
  const [page = '', anchor] = place.split('#');
  const text = sources.read(page);
  if (text === undefined) return [`${cited}: no such page`];
  if (anchor !== undefined && !slugs(text).has(anchor)) return [`${cited}: no such heading`];
  if (page !== PROTOCOL && rules.length > 0) return [`${cited}: that page has no rules`];
  return rules.filter((number) => !isRule(number, sources)).map((number) => `${page} ${number}: no such rule`);
}

function isRule(number: string, sources: Sources): boolean {
  return new RegExp(`^\\| ${number} +\\|`, 'm').test(sources.read(PROTOCOL) ?? '');
}

/** Anchors as GitHub makes them. */
export function slugs(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.replaceAll(/^```[\s\S]+?^```/gm, '').matchAll(/^#{1,6} (\S.*)$/gm)];
  const seen = new Map<string, number>();
  return new Set(
    headings.map(([, title = '']) => {
      const slug = title
        .trim()
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-');
      const count = seen.get(slug) ?? 0;
      seen.set(slug, count + 1);
      return count === 0 ? slug : `${slug}-${count}`;
    }),
  );
}

function resolved(from: string, to: string): string {
  return new URL(to, `file:///${from}`).pathname.slice(1);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
