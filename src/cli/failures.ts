/** How a command ends: 0 done, 1 could not, 2 the configuration or the call is wrong. Nobody is shown a stack. */
import { describeProblems, type ConfigProblem } from '../kernel/config/problems.js';
import { GatewayError } from '../kernel/domain/errors.js';
import { warn } from './terminal.js';

export const EXIT = { failed: 1, invalid: 2 } as const;

/** A failure that is already said in words for people. */
export class CommandFailure extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.failed,
  ) {
    super(message);
  }
}

/** Says what went wrong, one line a problem. @returns the exit code */
export function report(error: unknown): number {
  if (error instanceof CommandFailure) {
    warn(error.message);
    return error.exitCode;
  }
  if (!(error instanceof GatewayError)) {
    warn(`opitios: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.failed;
  }
  const problems = error.facts['problems'] as readonly ConfigProblem[] | undefined;
  if (problems === undefined) warn(error.message);
  else for (const line of describeProblems(String(error.facts['file']), problems)) warn(line);
  return error.code === 'CONFIG_INVALID' || error.code === 'SECRET_INVALID' ? EXIT.invalid : EXIT.failed;
}
