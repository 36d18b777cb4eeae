/** `opitios serve`: checks everything, then becomes the primary. The pid of `opitios serve` is the primary's. */
import { resolve } from 'node:path';
import { CommandFailure } from '../failures.js';
import { portProblem } from '../ports.js';
import type { ConfigOption } from '../session.js';
import { checkedSession } from './check.js';

export async function serve(options: ConfigOption): Promise<void> {
  const { file, config } = await checkedSession(options);
  const { server, admin } = config;
  const problems = [
    ...(await problemOf('server.port', server.host, server.port)),
    ...(admin.socket === undefined ? await problemOf('admin.port', admin.host, admin.port) : []),
  ];
  if (problems.length > 0) throw new CommandFailure(problems.join('\n'));
  // The primary reads its own command line, as it does when it is started without the CLI.
  process.argv.splice(2, process.argv.length, '--config', resolve(file));
  // Not a static import: a program is started here, and nothing of it may run for any other command.
  await import(new URL('../../primary/main.js', import.meta.url).href);
}

async function problemOf(key: string, host: string, port: number): Promise<readonly string[]> {
  const problem = await portProblem(host, port);
  return problem === undefined ? [] : [`${problem}: choose another with ${key}`];
}
