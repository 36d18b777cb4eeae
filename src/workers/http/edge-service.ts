/** What the edge answers by itself: its document, the docs page, the instance's metrics. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
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
  #openApi: Promise<ServedFile> | undefined;
  readonly #asyncApi: ServedFile;
  readonly #assets: ReadonlyMap<AssetName, ServedFile>;

  constructor(
    private readonly deps: {
      readonly routes: readonly Route[];
      readonly asyncApi: object | undefined;
      readonly draining: () => boolean;
      readonly metrics: (() => Promise<{ readonly contentType: string; readonly body: string }>) | undefined;
    },
  ) {
    this.draining = deps.draining;
    this.#asyncApi = jsonFile(deps.asyncApi ?? {});
    this.#assets = new Map((Object.keys(CONTENT_TYPES) as AssetName[]).map((name) => [name, readAsset(name)]));
  }

  /** Made when somebody asks: a worker that takes accounts over has better things to do. */
  openApi(): Promise<ServedFile> {
    this.#openApi ??= openApiDocument(this.deps.routes).then(jsonFile);
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
