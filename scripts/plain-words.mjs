// Words that say too little in docs, comments, names and messages, each with what to write in its place. Old places are
// listed by file and word in known/words.json; new ones fail. Names on the wire, of metrics and of settings are not
// looked at: in code they are texts without a blank, in pages they stand between backticks.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from './build.mjs';
import { settle } from './known-findings.mjs';

/** `prose`: in comments, messages and pages. `name`: one word of a name, as in `tellAll`. */
export const WORDS = [
  { word: 'told', prose: /\btold\b/gi, name: /^told$/, say: 'published, answered, notified' },
  { word: 'tell', prose: /\btell(?:s|ing)?\b/gi, name: /^tells?$/, say: 'notify, publish, reply' },
  { word: 'heard', prose: /\bheard\b/gi, name: /^heard$/, say: 'received' },
  { word: 'hear', prose: /\bhear(?:s|ing)?\b/gi, name: /^hears?$/, say: 'receive' },
  {
    word: 'word',
    prose:
      /['’]s? (?:\w+ )?word\b|\b(?:newest|last|latest|old) word\b|\bwords? (?:of|from) (?:a|an|the|its|his) (?:peer|primary|worker|owner|instance)/gi,
    name: /^words?$/,
    say: 'message',
  },
  { word: 'door', prose: /\bdoors?\b/gi, name: /^doors?$/, say: 'listener, port, interface' },
  { word: 'nobody', prose: /\bnobody\b/gi, name: /^nobody$/, say: 'a subject that is in the code' },
  { word: 'whoever', prose: /\bwhoever\b/gi, name: /^whoever$/, say: 'a subject that is in the code' },
  { word: 'elsewhere', prose: /\belsewhere\b/gi, name: /^elsewhere$/, say: 'other instances, another worker' },
  { word: 'newcomer', prose: /\bnewcomers?\b/gi, name: /^newcomers?$/, say: 'new subscription' },
  { word: 'legacy', prose: /\blegacy\b/gi, name: /^legac(?:y|ies)$/, say: "predecessor's state" },
  {
    word: 'rehearsal',
    prose: /\brehears(?:als?|e|es|ed|ing)\b/gi,
    name: /^rehears(?:als?|e|es|ed|ing)$/,
    say: 'warm-up',
  },
  { word: 'stage', prose: /(?<!multi-)\bstages?\b/gi, name: /^stages?$/, say: 'warm-up, phase' },
  {
    word: 'audience',
    prose: /\baudiences?\b/gi,
    name: /^audiences?$/,
    say: 'subscriber (the claim of a token keeps its name)',
    // `aud` of RFC 7519.
    except:
      /^src\/(?:kernel\/(?:auth|config)|cli|primary\/control-plane)\/|^test\/(?:unit|integration|security)\/.*(?:auth|token|jwt|config|admin|operator)|^docs\/(?:security|configuration|operations|api)\.md$|^CHANGELOG|^README/,
  },
  { word: 'ear', prose: /\bears?\b/gi, name: /^ears?$/, say: 'subscriber' },
  { word: 'voice', prose: /\bvoices?\b/gi, name: /^voices?$/, say: 'publisher' },
  { word: 'seat', prose: /\bseats?\b/gi, name: /^seats?$/, say: 'connection slot' },
  { word: 'turn', prose: /\b(?:its|own|whose|their|next|many|of) turns?\b/gi, name: /^turns?$/, say: 'flush slot' },
  { word: 'room', prose: /\brooms?\b/gi, name: /^rooms?$/, say: 'capacity' },
  { word: 'mend', prose: /\bmend(?:s|ed|ing)?\b/gi, name: /^mend(?:s|ed|ing)?$/, say: 'repair, retry' },
  { word: 'anew', prose: /\banew\b/gi, name: /^anew$/, say: 'again' },
  { word: 'for ever', prose: /\bfor ?ever\b/gi, name: /^forever$/, say: 'until aborted' },
];

/** This check and the list in its test have to name them. */
const OWN = new Set(['scripts/plain-words.mjs', 'test/unit/docs/checks.test.ts']);
const CODE = /\.(?:ts|mjs|cjs|js)$/;
const HASH_COMMENTS = /\.(?:ya?ml|conf|cfg|service|sh)$|(?:^|\/)Dockerfile$/;

/** Words in a file by count; only those that occur. */
export function wordsIn(path, text) {
  const { prose, names } = path.endsWith('.md')
    ? { prose: pageProse(text), names: [] }
    : CODE.test(path)
      ? readCode(path, text)
      : { prose: [...text.matchAll(/(?:^|\s)#(.*)$/gm)].map(([, comment]) => comment).join('\n'), names: [] };
  const parts = names.flatMap((name) =>
    name
      .replaceAll(/([a-z\d])(?=[A-Z])/g, '$1 ')
      .toLowerCase()
      .split(/[^a-z]+/),
  );
  return Object.fromEntries(
    WORDS.filter(({ except }) => except === undefined || !except.test(path))
      .map(({ word, prose: inProse, name }) => [
        word,
        [...prose.matchAll(inProse)].length + parts.filter((part) => name.test(part)).length,
      ])
      .filter(([, count]) => count > 0),
  );
}

/** Without code: fences, backticks, targets of links, addresses. */
function pageProse(text) {
  return text
    .replaceAll(/^```[\s\S]*?^```/gm, '')
    .replaceAll(/`[^`\n]*`/g, '')
    .replaceAll(/\]\([^)]*\)/g, ']')
    .replaceAll(/https?:\S+/g, '');
}

/** Comments and messages, and the names that a file declares: what it uses is another file's finding. */
function readCode(path, text) {
  const source = ts.createSourceFile(
    path,
    text,
    ts.ScriptTarget.Latest,
    true,
    path.endsWith('.ts') ? undefined : ts.ScriptKind.JS,
  );
  const names = [path.split('/').at(-1).replace(/\..*$/, '').replaceAll('-', ' ')];
  const messages = [];
  const covered = [];
  const visit = (node) => {
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) {
      if (node.parent.name === node && !isUse(node.parent) && !isWireName(node.text)) names.push(node.text);
    } else if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      covered.push(node);
      if (node.text.trim().includes(' ')) messages.push(node.text.replaceAll(/`[^`\n]*`/g, ''));
    } else if (ts.isRegularExpressionLiteral(node)) covered.push(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  // What is neither a text nor a pattern can be searched for comments by their marks.
  let rest = text;
  for (const node of covered) {
    const [start, end] = [node.getStart(source), node.end];
    rest = rest.slice(0, start) + ' '.repeat(end - start) + rest.slice(end);
  }
  const comments = [...rest.matchAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g)].map(([comment]) =>
    comment.replaceAll(/\n\s*\* ?/g, ' ').replaceAll(/`[^`\n]*`/g, ''),
  );
  return { prose: [...comments, ...messages].join('\n'), names };
}

const isUse = (parent) =>
  ts.isPropertyAccessExpression(parent) ||
  ts.isPropertyAssignment(parent) ||
  ts.isShorthandPropertyAssignment(parent) ||
  ts.isImportSpecifier(parent) ||
  ts.isExportSpecifier(parent) ||
  ts.isBindingElement(parent);

/** Members of JSON. */
const isWireName = (name) => /^[a-z\d]+(?:_[a-z\d]+)+$/.test(name);

function filesOf(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function all() {
  const paths = [
    ...['src', 'test', 'bench', 'scripts', 'deploy', 'config', 'docs'].flatMap(filesOf),
    ...readdirSync(root).filter((name) => /\.md$|^Dockerfile$|\.(?:mjs|cjs|js)$/.test(name)),
  ].filter(
    (path) =>
      (CODE.test(path) || HASH_COMMENTS.test(path) || path.endsWith('.md')) &&
      !OWN.has(path) &&
      // The user's own, not committed.
      !path.endsWith('.local.yaml') &&
      !path.startsWith('test/payloads/') &&
      !path.includes('/assets/vendor/'),
  );
  const found = {};
  for (const path of paths) {
    for (const [word, count] of Object.entries(wordsIn(path, readFileSync(join(root, path), 'utf8')))) {
      (found[word] ??= {})[path] = count;
    }
  }
  return found;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  settle({
    file: join(root, 'scripts/known/words.json'),
    found: all(),
    command: 'npm run words',
    describe: ([word, path, listed, found]) => {
      const { say } = WORDS.find((one) => one.word === word);
      return `${path}: '${word}' ${found} times, ${listed} listed; write: ${say}`;
    },
    advice: 'Say it in the words of the trade. After a file was moved or cut in two: npm run words -- --update',
  });
}
