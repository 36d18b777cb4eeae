/** The OpenAPI 3.1 document, made from the route table: it cannot know another gateway than the one that serves. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PROBLEMS } from '../../kernel/domain/problem.js';
import { PROBLEM_TYPE } from './problem-document.js';
import { toJsonSchema } from './schema/json-schema.js';
import type { JsonSchema } from './schema/fields.js';
import { GENERAL_PROBLEMS, problemsOf } from './routes/route-problems.js';
import type { Route } from './routes/route.js';

const PROBLEM_REF = { $ref: '#/components/responses/Problem' };

type Paths = Record<string, Record<string, unknown>>;

/**
 * One route a turn of the event loop: describing every schema takes a tenth of a second and more, which neither requests
 * under way nor accounts that wait for this worker should spend on a document.
 */
export async function openApiDocument(routes: readonly Route[]): Promise<JsonSchema> {
  const paths: Paths = {};
  for (const route of routes) {
    const path = (paths[route.template] ??= {});
    path[route.method.toLowerCase()] = operation(route);
    await nextTurn();
  }
  return documentOf(routes, paths);
}

function documentOf(routes: readonly Route[], paths: Paths): JsonSchema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Opitios trading gateway',
      version: '1',
      description:
        "One door to many Alpaca accounts. Trading answers are Alpaca's own JSON; errors are RFC 9457 documents.",
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map((route) => route.tag))].map((tag) => ({
      name: tag,
      'x-operations': namesOf(tag, routes),
    })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { Problem: problemSchema },
      responses: {
        Problem: {
          description: 'Refused. `code` is stable; see the list of codes.',
          content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
    'x-general-problem-codes': GENERAL_PROBLEMS,
    'x-problems': Object.entries(PROBLEMS).map(([code, { status, title }]) => ({ code, status, title })),
  };
}

/** In the order of the table: the order of paths says nothing, because one path serves several groups. */
function namesOf(tag: Route['tag'], routes: readonly Route[]): readonly string[] {
  return routes.filter((route) => route.tag === tag).map((route) => route.name);
}

const problemSchema: JsonSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'request_id'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(PROBLEMS) },
    request_id: { type: 'string' },
    trace_id: { type: 'string', description: 'W3C trace id, as in the log, of a request whose trace somebody keeps.' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'in', 'detail'],
        properties: {
          field: { type: 'string' },
          in: { enum: ['body', 'query', 'path', 'header'] },
          detail: { type: 'string' },
        },
      },
    },
    alpaca: { type: 'object', description: "The broker's own words." },
  },
};

function operation(route: Route): JsonSchema {
  return {
    operationId: route.name,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    'x-permission': route.permission,
    'x-problem-codes': problemsOf(route),
    security: route.permission === 'none' ? [] : [{ bearer: [] }],
    parameters: parameters(route),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: route.bodyOptional !== true,
            content: { 'application/json': { schema: toJsonSchema(route.body), ...bodyExamples(route) } },
          },
        }),
    responses: responses(route),
  };
}

function bodyExamples({ bodyExamples: given }: Route): JsonSchema {
  if (given === undefined) return {};
  return {
    examples: Object.fromEntries(
      Object.entries(given).map(([name, value]) => [exampleKey(name), { summary: name, value }]),
    ),
  };
}

/** The keys of the document's maps are words without spaces. */
function exampleKey(name: string): string {
  return name.replaceAll(/\W+/g, '-');
}

function parameters(route: Route): JsonSchema[] {
  const path = Object.entries(route.path ?? {}).map(([name, schema]) => ({
    name,
    in: 'path',
    required: true,
    schema: toJsonSchema(schema),
  }));
  const query = Object.entries(route.query ?? {}).map(([name, schema]) => {
    const required = (schema.describe() as { flags?: { presence?: string } }).flags?.presence === 'required';
    return { name, in: 'query', required, schema: toJsonSchema(schema) };
  });
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    schema: { type: 'string', maxLength: 255 },
    description: 'Makes a repeated request harmless: the same key gets the same answer.',
  };
  return [...path, ...query, ...(route.places !== undefined ? [key] : [])];
}

function responses(route: Route): JsonSchema {
  const answers = route.answers.map(({ status, description, schema, contentType }) => [
    String(status),
    {
      description,
      ...(schema === undefined && contentType === undefined
        ? {}
        : { content: { [contentType ?? 'application/json']: { schema: schema ?? {} } } }),
    },
  ]);
  return { ...(Object.fromEntries(answers) as JsonSchema), default: PROBLEM_REF };
}
