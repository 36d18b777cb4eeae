import tseslint from 'typescript-eslint';
import regexp from 'eslint-plugin-regexp';

const ambient = [
  { object: 'process', property: 'env', message: 'Only kernel/config reads the environment.' },
  { object: 'Date', property: 'now', message: 'Ask the injected Clock.' },
  { object: 'Math', property: 'random', message: 'Ask the injected source.' },
];

export default tseslint.config(
  { ignores: ['dist', 'coverage', '**/*.cjs', '**/*.mjs', '**/*.js'] },
  ...tseslint.configs.strictTypeChecked,
  regexp.configs['flat/recommended'],
  {
    languageOptions: { parserOptions: { project: './tsconfig.json' } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `void promise` says aloud that somebody else owns the promise.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      'no-restricted-properties': ['error', ...ambient],
      'no-console': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      'max-depth': ['error', 3],
      'max-params': ['error', 4],
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'Use a union of string literals.' },
        { selector: 'ExportDefaultDeclaration', message: 'Use a named export.' },
        { selector: 'ExportAllDeclaration', message: 'List what you re-export.' },
        { selector: 'CallExpression[callee.name=/^parse(Float|Int)$/]', message: 'Parse decimals with kernel/domain.' },
        { selector: 'NewExpression[callee.name="Error"]', message: 'Throw an error with a code.' },
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'Ask the injected Clock.' },
      ],
    },
  },
  // The places where the outside world is allowed in. The CLI is a terminal program: it prints.
  {
    files: ['src/kernel/config/environment.ts', 'src/kernel/runtime/system-*.ts', 'src/*/main.ts', 'src/cli/**'],
    rules: { 'no-restricted-properties': 'off', 'no-console': 'off' },
  },
  // The simulator is a program of its own: it owns its clock and shares no kernel errors.
  {
    files: ['src/simulator/**'],
    rules: { 'no-restricted-properties': 'off', 'no-console': 'off', 'no-restricted-syntax': 'off' },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
    },
  },
);
