/** Pages of bars merged into one answer, in the broker's order. */
import { barFields } from '../kernel/shared-memory/record-text.js';
import { mapIn, nextPageToken, parsePage, recordsIn } from './alpaca-json.js';
import { finishedBody } from './finished-body.js';
import type { BarsTask, BodyResult, OptionBarsTask } from './tasks.js';

export function mergeBars(task: BarsTask): BodyResult {
  const bars: string[] = [];
  let token: string | undefined;
  for (const bytes of task.pages) {
    const page = parsePage(bytes);
    token = nextPageToken(page);
    // One symbol asked for in the plural route comes back in a map.
    const own = mapIn(page, 'bars').find(([symbol]) => symbol === task.symbol)?.[1];
    for (const bar of recordsIn(own)) bars.push(`{${barFields(bar)}}`);
  }
  const text =
    `{"symbol":${JSON.stringify(task.symbol)},"timeframe":${JSON.stringify(task.timeframe)}` +
    `,"bars":[${bars.join(',')}],"next_page_token":${JSON.stringify(token ?? null)}${originOf(task)}}`;
  return finishedBody(text, bars.length);
}

export function mergeOptionBars(task: OptionBarsTask): BodyResult {
  const bySymbol = new Map<string, string[]>(task.symbols.map((symbol) => [symbol, []]));
  let count = 0;
  let token: string | undefined;
  for (const bytes of task.pages) {
    const page = parsePage(bytes);
    token = nextPageToken(page);
    for (const [symbol, list] of mapIn(page, 'bars')) {
      const bars = recordsIn(list).map((bar) => `{${barFields(bar)}}`);
      count += bars.length;
      bySymbol.set(symbol, [...(bySymbol.get(symbol) ?? []), ...bars]);
    }
  }
  const members = [...bySymbol].map(([symbol, bars]) => `${JSON.stringify(symbol)}:[${bars.join(',')}]`);
  const text =
    `{"timeframe":${JSON.stringify(task.timeframe)},"bars":{${members.join(',')}}` +
    `,"next_page_token":${JSON.stringify(token ?? null)}${originOf(task)}}`;
  return finishedBody(text, count);
}

function originOf(task: BarsTask | OptionBarsTask): string {
  return `,"source":${JSON.stringify(task.origin.source)},"feed":${JSON.stringify(task.origin.feed)}`;
}
