/** Sources run as ES modules through swc; processes that a test starts run the built program in dist. */
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};

/** One project a folder of test/, so that `npm run jest -- --selectProjects unit` runs one kind. */
const project = (name) => ({ ...common, displayName: name, testMatch: [`<rootDir>/test/${name}/**/*.test.ts`] });

export default {
  projects: ['unit', 'integration', 'cluster', 'acceptance', 'security', 'chaos'].map(project),
  testTimeout: 30_000,
};
