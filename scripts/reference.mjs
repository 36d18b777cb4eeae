// Writes docs/configuration.md and docs/metrics.md from the schema and the catalogue. Tests fail when they are stale.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, installIfNeeded, root } from './build.mjs';

installIfNeeded();
build();
const { settingsDocument } = await import(join(root, 'dist/kernel/config/settings-table.js'));
const { metricsDocument } = await import(join(root, 'dist/kernel/telemetry/metrics-document.js'));
const { METRICS } = await import(join(root, 'dist/kernel/telemetry/catalogue.js'));
writeFileSync(join(root, 'docs/configuration.md'), settingsDocument());
writeFileSync(join(root, 'docs/metrics.md'), metricsDocument(METRICS));
