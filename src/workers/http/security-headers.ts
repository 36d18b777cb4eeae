/** Helmet's headers, computed once: they are the same for every answer, so no middleware runs per request. */
import helmet from 'helmet';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface SecurityHeaders {
  /** Name and value in turn. */
  readonly api: readonly string[];
  readonly page: readonly string[];
}

const NOTHING = { defaultSrc: ["'none'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"] };
/** The docs page: its own script, style and document, and nothing from elsewhere. */
const OWN_FILES = {
  ...NOTHING,
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  connectSrc: ["'self'"],
  imgSrc: ["'self'"],
};

export function securityHeaders(overTls: boolean): SecurityHeaders {
  return { api: collect(NOTHING, overTls), page: collect(OWN_FILES, overTls) };
}

function collect(directives: Record<string, string[]>, overTls: boolean): string[] {
  const pairs: string[] = [];
  const nothing: unknown = undefined;
  const recorder = {
    setHeader: (name: string, value: string) => pairs.push(name, value),
    removeHeader: () => undefined,
  };
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives },
    strictTransportSecurity: overTls ? { maxAge: 31_536_000, includeSubDomains: true } : false,
    xFrameOptions: { action: 'deny' },
    // About old browsers and Flash: an API answer has no use for them.
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xDnsPrefetchControl: false,
    originAgentCluster: false,
    xXssProtection: false,
  })(nothing as IncomingMessage, recorder as unknown as ServerResponse, () => undefined);
  return pairs;
}
