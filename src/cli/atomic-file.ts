/** Replaces a file so that a crash leaves the old one or the new one, whole: temp, fsync, rename, fsync of the directory. */
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Keeps the mode of a file that exists. @param mode of one that does not */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const kept = await stat(file).then(
    (found) => found.mode & 0o777,
    () => mode,
  );
  const temporary = join(dirname(file), `.${basename(file)}.tmp`);
  // What a crash left: in a container the next process has the same number, so that a number would not tell them apart.
  await rm(temporary, { force: true });
  try {
    const handle = await open(temporary, 'wx', kept);
    try {
      await handle.writeFile(text, 'utf8');
      await handle.chmod(kept);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(file));
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
