/** What no route took: an unknown address, a known one with another method, or a path that cannot be decoded. */
import type { Log } from '../../kernel/runtime/log.js';
import type { Exchange } from './exchange.js';
import type { Route } from './routes/route.js';
import type { Sender } from './sending.js';

const SERVED = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE']);

export class Unmatched {
  readonly #addresses: readonly { readonly pattern: RegExp; readonly method: string }[];

  constructor(
    routes: readonly Route[],
    private readonly sender: Sender,
    private readonly log: Log,
  ) {
    this.#addresses = routes.flatMap((route) =>
      [route.template, ...(route.aliases ?? [])].map((template) => ({
        pattern: new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
        method: route.method,
      })),
    );
  }

  isServedMethod(method: string | undefined): boolean {
    return method !== undefined && SERVED.has(method);
  }

  answer(exchange: Exchange, cause: unknown): void {
    // What the client still sends of its body must not be taken for the next request.
    if (!exchange.req.complete) exchange.mustClose = true;
    if (cause !== undefined && cause !== null) {
      this.#failed(exchange, cause);
      return;
    }
    const allowed = this.allowedMethods(exchange.req.url ?? '');
    if (allowed.length === 0) {
      this.sender.problem(exchange, { code: 'not-found', detail: 'There is no such address.' });
      return;
    }
    const detail = `This address takes ${allowed.join(', ')}.`;
    this.sender.problem(exchange, { code: 'method-not-allowed', detail, headers: { Allow: allowed.join(', ') } });
  }

  allowedMethods(target: string): readonly string[] {
    const path = target.split('?', 1)[0] ?? '';
    const methods = new Set(this.#addresses.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
    if (methods.has('GET')) methods.add('HEAD');
    return [...methods].sort();
  }

  #failed(exchange: Exchange, cause: unknown): void {
    const status = (cause as { readonly status?: unknown }).status;
    if (cause instanceof URIError || status === 400) {
      this.sender.problem(exchange, {
        code: 'request-malformed',
        detail: 'The path holds a percent sign that is not followed by UTF-8.',
      });
      return;
    }
    this.log.error({ cause, requestId: exchange.ids.requestId }, 'request failed');
    this.sender.problem(exchange, {
      code: 'internal-error',
      detail: 'The request failed inside the gateway; quote the request id.',
    });
  }
}
