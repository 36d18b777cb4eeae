/** What the edge answers by itself: its document, the docs page, the instance's metrics, a CPU profile of this worker. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { openApiDocument } from './openapi.js';
import type { AssetName, Route, ServedFile, ServiceDoor } from './routes/route.js';

const CONTENT_TYPES: Readonly<Record<AssetName, string>> = {
  'docs.html': 'text/html; charset=utf-8',
  'docs.css': 'text/css; charset=utf-8',
  'docs.js': 'text/javascript; charset=utf-8',
  'stream.html': 'text/html; charset=utf-8',
  'stream.js': 'text/javascript; charset=utf-8',
};

export class EdgeService implements ServiceDoor {
  readonly draining: () => boolean;
  readonly #openApi: ServedFile;
  readonly #asyncApi: ServedFile;
  readonly #assets: ReadonlyMap<AssetName, ServedFile>;
  #profiling = false;

  constructor(
    private readonly deps: {
      readonly routes: readonly Route[];
      readonly asyncApi: object | undefined;
      readonly draining: () => boolean;
      readonly metrics: (() => Promise<{ readonly contentType: string; readonly body: string }>) | undefined;
    },
  ) {
    this.draining = deps.draining;
    this.#openApi = jsonFile(openApiDocument(deps.routes));
    this.#asyncApi = jsonFile(deps.asyncApi ?? {});
    this.#assets = new Map((Object.keys(CONTENT_TYPES) as AssetName[]).map((name) => [name, readAsset(name)]));
  }

  openApi(): ServedFile {
    return this.#openApi;
  }

  asyncApi(): ServedFile {
    return this.#asyncApi;
  }

  asset(name: AssetName): ServedFile {
    return this.#assets.get(name) ?? readAsset(name);
  }

  async metrics(): Promise<{ readonly contentType: string; readonly body: string }> {
    return (await this.deps.metrics?.()) ?? { contentType: 'text/plain', body: '' };
  }

  async profile(seconds: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (this.#profiling) return undefined;
    this.#profiling = true;
    const session = new Session();
    session.connect();
    try {
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
      await waited(seconds * 1_000, signal);
      const { profile } = await session.post('Profiler.stop');
      return Buffer.from(JSON.stringify(profile));
    } finally {
      session.disconnect();
      this.#profiling = false;
    }
  }
}

function readAsset(name: AssetName): ServedFile {
  return served(CONTENT_TYPES[name], readFileSync(new URL(`./assets/${name}`, import.meta.url)));
}

function jsonFile(document: object): ServedFile {
  return served('application/json', Buffer.from(JSON.stringify(document)));
}

function served(contentType: string, body: Uint8Array): ServedFile {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { contentType, body, etag };
}

/** A profile measures real time, whatever clock the gateway was given. */
function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
