/** What a person at a terminal sees and types. Answers go to standard output, everything else to standard error. */
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';

export function say(line: string): void {
  console.log(line);
}

export function warn(line: string): void {
  console.error(line);
}

/** Lines of a pipe are read by one reader: a second one would lose what the first had buffered. */
let piped: AsyncIterator<string> | undefined;

/** Asks for a secret without showing it. Where standard input is no terminal the next line of it is the answer. */
export async function askHidden(question: string): Promise<string> {
  if (!process.stdin.isTTY) {
    piped ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const next = await piped.next();
    return next.done === true ? '' : next.value.trim();
  }
  process.stderr.write(question);
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: true });
  // readline would echo what is typed; only the question is shown.
  (reader as Interface & { _writeToOutput: (text: string) => void })._writeToOutput = () => undefined;
  const answer = await new Promise<string>((resolve) => {
    reader.once('line', resolve);
    reader.once('close', () => {
      resolve('');
    });
  });
  reader.close();
  process.stderr.write('\n');
  return answer.trim();
}
