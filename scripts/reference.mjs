// Writes docs/configuration.md, docs/metrics.md and docs/api.md from the schema, the catalogue and the route table. Tests
// fail when they are stale.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, installIfNeeded, root } from './build.mjs';

installIfNeeded();
await build();
const { settingsDocument } = await import(join(root, 'dist/kernel/config/settings-table.js'));
const { metricsDocument } = await import(join(root, 'dist/kernel/telemetry/metrics-document.js'));
const { METRICS } = await import(join(root, 'dist/kernel/telemetry/catalogue.js'));
const { apiDocument } = await import(join(root, 'dist/workers/http/api-document.js'));
const { routeTable } = await import(join(root, 'dist/workers/http/routes/table.js'));
const { CLOSE_CODES, STREAM_ERRORS } = await import(join(root, 'dist/workers/streams/stream-codes.js'));
const streams = { errors: STREAM_ERRORS, closeCodes: CLOSE_CODES };
writeFileSync(join(root, 'docs/configuration.md'), settingsDocument());
writeFileSync(join(root, 'docs/metrics.md'), metricsDocument(METRICS));
writeFileSync(join(root, 'docs/api.md'), apiDocument(routeTable({ exposeMetrics: true, asyncApi: true }), streams));
