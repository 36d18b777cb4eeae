/**
 * Edits YAML as text, so that comments, order and quoting stay as the operator wrote them. Every edit is read back: if the
 * result does not mean exactly what was wanted, nothing is written and the operator is asked to do it by hand.
 */
import { isDeepStrictEqual } from 'node:util';
import { EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE, type Event } from 'js-yaml';
import { parseYaml } from '../kernel/config/yaml.js';
import { CommandFailure } from './failures.js';

export type YamlPath = readonly (string | number)[];

export interface YamlNode {
  readonly kind: 'mapping' | 'sequence' | 'scalar';
  /** Of the text that it covers, quotes included; the end of a collection is that of its last part. */
  readonly start: number;
  readonly end: number;
  readonly block: boolean;
  readonly value?: string;
  readonly members: ReadonlyMap<string, YamlNode>;
  readonly items: readonly YamlNode[];
}

/** @param text has been parsed before: it is valid and has no aliases. */
export function readNodes(text: string): YamlNode | undefined {
  const events = parseEvents(text, {}).filter((event) => event.type !== EVENT_ID.DOCUMENT);
  return events.length > 1 ? new Reader(text, events).node() : undefined;
}

export function nodeAt(root: YamlNode | undefined, path: YamlPath): YamlNode | undefined {
  let here = root;
  for (const part of path) here = typeof part === 'number' ? here?.items[part] : here?.members.get(part);
  return here;
}

export interface Replacement {
  readonly path: YamlPath;
  readonly value: string;
}

/** Replaces texts that stand in the file; each becomes a double-quoted one. */
export function replaceScalars(file: string, text: string, replacements: readonly Replacement[]): string {
  const root = readNodes(text);
  const spans = replacements.map(({ path, value }) => {
    const node = nodeAt(root, path);
    if (node?.kind !== 'scalar' || node.block) throw byHand(file, path.join('.'));
    return { start: node.start, end: node.end, value: JSON.stringify(value) };
  });
  let edited = text;
  for (const { start, end, value } of spans.sort((a, b) => b.start - a.start))
    edited = edited.slice(0, start) + value + edited.slice(end);
  const wanted = parseYaml(file, text);
  for (const { path, value } of replacements) assign(wanted, path, value);
  return proven(file, edited, wanted);
}

/** Adds one entry at the end of a list that has entries, one to a line. */
export function appendItem(file: string, text: string, list: string, item: Readonly<Record<string, unknown>>): string {
  const node = nodeAt(readNodes(text), [list]);
  const shown = Object.entries(item).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  const last = node?.items.at(-1);
  const wanted = parseYaml(file, text) as Record<string, unknown[]>;
  wanted[list] = [...(wanted[list] ?? []), item];
  if (node === undefined || last === undefined) {
    const kept = node === undefined ? `${text.trimEnd()}\n${list}:` : text.slice(0, node.start).trimEnd();
    const rest = node === undefined ? '\n' : text.slice(lineEnd(text, node.end));
    return proven(file, `${kept}\n  - { ${shown.join(', ')} }${rest}`, wanted);
  }
  const start = text.lastIndexOf('\n', last.start) + 1;
  const indent = /^ */.exec(text.slice(start))?.[0] ?? '';
  const end = lineEnd(text, last.end);
  return proven(file, `${text.slice(0, end)}\n${indent}- { ${shown.join(', ')} }${text.slice(end)}`, wanted);
}

/** Removes one entry of a list, with its lines. */
export function removeItem(file: string, text: string, list: string, index: number): string {
  const item = nodeAt(readNodes(text), [list, index]);
  if (item === undefined) throw byHand(file, `${list}[${index}]`);
  const start = text.lastIndexOf('\n', item.start) + 1;
  const wanted = parseYaml(file, text) as Record<string, unknown[]>;
  wanted[list] = (wanted[list] ?? []).filter((_, at) => at !== index);
  const edited = text.slice(0, start) + text.slice(Math.min(text.length, lineEnd(text, item.end) + 1));
  if (wanted[list].length > 0) return proven(file, edited, wanted);
  return proven(file, edited.replace(new RegExp(`^${list}:`, 'm'), `${list}: []`), wanted);
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

function assign(root: unknown, path: YamlPath, value: string): void {
  let owner = root as Record<string | number, unknown>;
  for (const part of path.slice(0, -1)) owner = owner[part] as Record<string | number, unknown>;
  owner[path.at(-1) ?? ''] = value;
}

function proven(file: string, edited: string, wanted: unknown): string {
  if (!isDeepStrictEqual(parseYaml(file, edited), wanted)) throw byHand(file, 'this place');
  return edited;
}

function byHand(file: string, place: string): CommandFailure {
  return new CommandFailure(
    `${file}: ${place} is written in a way that cannot be edited safely; nothing was changed, please edit it by hand`,
  );
}

class Reader {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly events: readonly Event[],
  ) {}

  node(): YamlNode {
    const event = this.events[this.#at];
    this.#at += 1;
    switch (event?.type) {
      case EVENT_ID.MAPPING:
        return this.#mapping(event.start);
      case EVENT_ID.SEQUENCE:
        return this.#sequence(event.start);
      case EVENT_ID.SCALAR: {
        const { style, valueStart, valueEnd } = event;
        const quotes = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED ? 1 : 0;
        const block = style !== SCALAR_STYLE.PLAIN && quotes === 0;
        const value = getScalarValue(this.text, event);
        return { ...EMPTY, kind: 'scalar', start: valueStart - quotes, end: valueEnd + quotes, block, value };
      }
      default:
        throw new CommandFailure('the file holds YAML that cannot be edited safely');
    }
  }

  #mapping(start: number): YamlNode {
    const members = new Map<string, YamlNode>();
    let end = start;
    while (!this.#popped()) {
      const name = this.node();
      const value = this.node();
      members.set(name.value ?? '', value);
      end = Math.max(name.end, value.end);
    }
    return { ...EMPTY, kind: 'mapping', start, end: this.#closed(start, end, '{', '}'), members };
  }

  #sequence(start: number): YamlNode {
    const items: YamlNode[] = [];
    while (!this.#popped()) items.push(this.node());
    const end = items.at(-1)?.end ?? start;
    return { ...EMPTY, kind: 'sequence', start, end: this.#closed(start, end, '[', ']'), items };
  }

  #closed(start: number, end: number, opening: string, closing: string): number {
    return this.text[start] === opening ? this.text.indexOf(closing, end) + 1 : end;
  }

  #popped(): boolean {
    if (this.events[this.#at]?.type !== EVENT_ID.POP) return false;
    this.#at += 1;
    return true;
  }
}

const EMPTY = { block: false, members: new Map<string, YamlNode>(), items: [] };
