// Programs besides Node that some tests drive. As root on Debian they are installed when missing; elsewhere the tests
// that need them skip and say so.
import { spawnSync } from 'node:child_process';

/** Program to look for, Debian package that brings it, what needs it. */
export const PROGRAMS = [
  ['redis-server', 'redis-server', 'tests of several instances'],
  ['nginx', 'nginx-light', 'tests behind a load balancer'],
  ['sslscan', 'sslscan', 'the scan of protocols and ciphers'],
  ['promtool', 'prometheus', 'tests of the alert rules'],
  ['chromium', 'chromium', 'tests of the web pages'],
  ['strace', 'strace', 'the proof that an intent is durable before it is sent'],
  ['mkfs.ext4', 'e2fsprogs', 'simulated power cuts'],
  ['xfs_io', 'xfsprogs', 'simulated power cuts'],
  ['docker-compose', 'docker-compose', 'the check of the compose file'],
  ['yamllint', 'yamllint', 'the check of the YAML files'],
  ['setpriv', 'util-linux', 'workers that die with a stalled primary'],
];

const found = (program) => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;

export function installTestPrograms() {
  const missing = PROGRAMS.filter(([program]) => !found(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, name]) => name))];
  if (process.getuid?.() !== 0 || !found('apt-get')) {
    console.log(`not installed (their tests will be skipped): ${packages.join(' ')}`);
    return;
  }
  console.log(`installing for the tests: ${packages.join(' ')}`);
  // A package's own service must not start: the tests start what they need, on ports of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', SYSTEMD_OFFLINE: '1' };
  const quiet = { env, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' };
  spawnSync('apt-get', ['update', '-qq'], quiet);
  for (const name of packages) {
    const done = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], quiet);
    if (done.status !== 0) console.log(`could not install ${name}: ${(done.stderr ?? '').trim().split('\n').at(-1)}`);
  }
}
