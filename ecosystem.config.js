/**
 * PM2 runs the primary once, in fork mode; the primary forks and watches its workers itself. In fork mode `pm2 reload`
 * is a restart with an outage: replace the workers with `pm2 sendSignal SIGUSR2 opitios`, read the configuration again
 * with `pm2 sendSignal SIGHUP opitios`. See docs/operations.md, "PM2".
 */
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));

/** PM2 stores the environment of what it starts, and dumps it to disk: this much is handed on, and never a secret. */
const handedOn = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'NODE_EXTRA_CA_CERTS'].includes(name) ||
      (name.startsWith('OPITIOS__') && !/(?:SECRET|API_KEY)$/.test(name)),
  ),
);

export const apps = [
  {
    name: 'opitios',
    script: `${root}dist/primary/main.js`,
    // An absolute path: PM2 stores arguments and starts them again from anywhere.
    args: ['--config', process.env.OPITIOS_CONFIG ?? `${root}config/opitios.yaml`],
    cwd: root,
    exec_mode: 'fork',
    instances: 1,

    // Started means: every worker is ready. A thousand accounts take their time.
    wait_ready: true,
    listen_timeout: 300_000,

    // SIGTERM drains within 12 s; PM2 may use force only after that.
    kill_timeout: 20_000,
    kill_retry_time: 500,
    // The workers are the primary's to stop. A signal to the whole tree would cut their drain short.
    treekill: false,
    shutdown_with_message: false,

    autorestart: true,
    // A configuration that cannot start is not tried for ever.
    exp_backoff_restart_delay: 100,
    max_restarts: 20,
    min_uptime: 10_000,
    watch: false,

    // The gateway has its own metrics; PM2's agent inside it would only make its start longer.
    pmx: false,
    merge_logs: true,
    out_file: `${root}data/log/opitios.log`,
    error_file: `${root}data/log/opitios-error.log`,

    // Every name contains the empty text, so that nothing else comes along; `true` filters nothing in PM2 7.0.
    filter_env: [''],
    env: { ...handedOn, NODE_ENV: 'production' },
  },
];
