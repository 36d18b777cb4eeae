// `npm run demo [-- --accounts 100 --port 8090 --workers 2]`: installs and builds what is missing, then is `opitios demo`.
import { join } from 'node:path';
import { build, installIfNeeded, root } from './build.mjs';

installIfNeeded();
await build();
// In this process, so that a signal reaches the demo whoever sends it.
process.argv.splice(1, 1, join(root, 'dist/cli/main.js'), 'demo');
await import(join(root, 'dist/cli/main.js'));
