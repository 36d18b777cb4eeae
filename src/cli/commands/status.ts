/** `opitios status`: what runs and what needs a person. On a terminal it goes on until Ctrl-C; anywhere else it prints once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openAdminDoor, type AdminOptions } from '../admin-door.js';
import { statusLines, type Screen, type StatusDocument } from '../status-table.js';
import { say } from '../terminal.js';

export interface StatusOptions extends AdminOptions {
  readonly once?: boolean;
  readonly json?: boolean;
}

const EVERY_MS = 2_000;
const ALTERNATE_SCREEN = '\u001b[?1049h\u001b[?25l';
const OWN_SCREEN = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export async function status(options: StatusOptions): Promise<void> {
  const door = await openAdminDoor(options);
  const ask = async (): Promise<StatusDocument> => JSON.parse(await door.ask('GET', '/status/data')) as StatusDocument;
  const { stdout } = process;
  if (options.json === true) {
    say(JSON.stringify(await ask(), undefined, 2));
    return;
  }
  if (!stdout.isTTY || options.once === true) {
    const screen: Screen = { columns: stdout.isTTY ? stdout.columns : 200, rows: undefined, hasColour: hasColour() };
    for (const line of statusLines(await ask(), screen)) say(line);
    return;
  }
  await live(ask);
}

/** Asked for once before the screen is taken: a gateway that is not there is said in one line. */
async function live(ask: () => Promise<StatusDocument>): Promise<void> {
  const { stdout } = process;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  let known = await ask();
  stdout.write(ALTERNATE_SCREEN);
  try {
    let note = 'Ctrl-C ends';
    for (;;) {
      draw([...linesFor(known), note]);
      const isOver = await sleep(EVERY_MS, false, { signal: stop.signal }).catch(() => true);
      if (isOver) return;
      note = 'Ctrl-C ends';
      known = await ask().catch((cause: unknown) => {
        note = `NOT CURRENT: ${cause instanceof Error ? cause.message : String(cause)}`;
        return known;
      });
    }
  } finally {
    stdout.write(OWN_SCREEN);
  }
}

function linesFor(known: StatusDocument): readonly string[] {
  const { columns, rows } = process.stdout;
  return statusLines(known, { columns, rows: rows - 2, hasColour: hasColour() }).slice(0, rows - 2);
}

/** Over what is there, line by line: a screen that is cleared first would flicker. */
function draw(lines: readonly string[]): void {
  process.stdout.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
}

/** https://no-color.org */
function hasColour(): boolean {
  return process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
}
