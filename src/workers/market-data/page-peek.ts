/** What paging needs to know of a page, read from its bytes without parsing it: a page may be a megabyte. */
import { wholePage, type Page } from '../../threads/tasks.js';

const TAIL_BYTES = 4_096;
const TOKEN_KEY = Buffer.from('"next_page_token"');
const BAR_TIME = Buffer.from('"t":');
const SYMBOL_TAIL = /"([A-Z0-9.]{1,6}\d{6}[CP]\d{8})":/g;

/** undefined when there is no further page. */
export function peekPageToken(page: Page): string | undefined {
  const tail = tailOf(page);
  // The broker writes it at the end; nothing says that it must.
  const bytes = tail.includes(TOKEN_KEY) ? tail : wholePage(page);
  const at = bytes.lastIndexOf(TOKEN_KEY);
  if (at < 0) return undefined;
  const rest = bytes.toString('utf8', at + TOKEN_KEY.length, at + TOKEN_KEY.length + 2_048);
  return /^\s*:\s*"([^"\\]+)"/.exec(rest)?.[1];
}

/** The last pieces that hold so much, as one. */
function tailOf(page: Page): Buffer {
  let from = page.length;
  for (let bytes = 0; from > 0 && bytes < TAIL_BYTES; bytes += page[from]?.byteLength ?? 0) from -= 1;
  return wholePage(page.slice(from));
}

/** Every bar has one time. */
export function countBars(page: Page): number {
  const bytes = wholePage(page);
  let count = 0;
  for (let at = bytes.indexOf(BAR_TIME); at >= 0; at = bytes.indexOf(BAR_TIME, at + BAR_TIME.length)) count += 1;
  return count;
}

/** The latest expiration date on a page of option snapshots, YYYY-MM-DD. */
export function peekLastExpiration(page: Page): string | undefined {
  const text = wholePage(page).toString('latin1');
  let last = '';
  for (const match of text.matchAll(SYMBOL_TAIL)) {
    const digits = match[1]?.slice(-15, -9) ?? '';
    if (digits > last) last = digits;
  }
  return last === '' ? undefined : `20${last.slice(0, 2)}-${last.slice(2, 4)}-${last.slice(4, 6)}`;
}
