/**
 * The status page's own files: read once, loaded from nowhere else, and bound to that by their policy. They hold no data:
 * the script asks for it with the operator's token.
 */
import { readFileSync } from 'node:fs';

export interface PageFile {
  readonly status: 200;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Nothing from outside, nothing inline, no frame around it; the script may ask this very door. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/status': ['status.html', 'text/html; charset=utf-8'],
  '/status.css': ['status.css', 'text/css; charset=utf-8'],
  '/status.js': ['status.js', 'text/javascript; charset=utf-8'],
};

export class StatusPage {
  readonly #files = new Map(
    Object.entries(FILES).map(([path, [file, type]]): [string, PageFile] => [
      path,
      {
        status: 200,
        headers: {
          'content-type': type,
          'cache-control': 'no-store',
          'content-security-policy': POLICY,
          'referrer-policy': 'no-referrer',
          'cross-origin-opener-policy': 'same-origin',
          'cross-origin-resource-policy': 'same-origin',
        },
        body: readFileSync(new URL(`./assets/${file}`, import.meta.url)),
      },
    ]),
  );

  file(path: string): PageFile | undefined {
    return this.#files.get(path);
  }
}
