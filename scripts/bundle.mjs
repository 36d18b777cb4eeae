// Bundles the gateway's three programs over what tsc has compiled: a worker that loads 800 files one by one needs half
// as long again before it trades (docs/decisions/0053). Everything else in dist stays one file a module.
import { readFileSync } from 'node:fs';
import { dirname, relative, join } from 'node:path';

const PROGRAMS = ['primary/main', 'workers/main', 'threads/main'];

/** They find files beside themselves, native code or a thread's own program, and stay in node_modules. */
const UNBUNDLED = ['lmdb', 'piscina', 'bunyan'];

/** A module finds its neighbours by its own place, and in a bundle that is the bundle's: dist/NAME/FILE.js, every one. */
const placesOfModules = (src) => ({
  name: 'places-of-modules',
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (path.includes('node_modules')) return undefined;
      const contents = readFileSync(path, 'utf8');
      const place = join('..', relative(src, dirname(path)), 'module.js');
      return {
        contents: contents.replaceAll('import.meta.url', `new URL('${place}', import.meta.url).href`),
        loader: 'ts',
      };
    });
  },
});

export async function bundle(root) {
  const src = join(root, 'src');
  const { build, stop } = await import('esbuild');
  await build({
    entryPoints: PROGRAMS.map((name) => join(src, `${name}.ts`)),
    outbase: src,
    outdir: join(root, 'dist'),
    // One level deep, as the programs are.
    chunkNames: 'chunks/[name]-[hash]',
    tsconfig: join(root, 'tsconfig.build.json'),
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    bundle: true,
    splitting: true,
    sourcemap: true,
    sourcesContent: false,
    external: UNBUNDLED,
    // What is CommonJS asks for node's own modules by `require`.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
    },
    plugins: [placesOfModules(src)],
    logLevel: 'warning',
  });
  // Its process would stay for as long as ours: the demo builds, and then runs.
  await stop();
}
