/** A file that is only appended to, as the audit log uses it: a port, so that tests can make the disk fail. */
import { mkdir, open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface AppendFile {
  /** Writes and makes durable. After a failure nothing about the file's end may be assumed. */
  append(bytes: Uint8Array): Promise<void>;
  /** Cuts the file to a length that is known to be durable, durably. */
  truncate(length: number): Promise<void>;
  length(): Promise<number>;
  close(): Promise<void>;
}

export interface AppendDisk {
  open(path: string): Promise<AppendFile>;
  freeBytes(dir: string): Promise<number>;
}

export const nodeAppendDisk: AppendDisk = {
  async open(path) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a', 0o600);
    // A new file's name is durable only when its directory is.
    await syncDir(dirname(path));
    return {
      append: async (bytes) => {
        await file.appendFile(bytes);
        await file.datasync();
      },
      truncate: async (length) => {
        await file.truncate(length);
        await file.datasync();
      },
      length: async () => (await file.stat()).size,
      close: () => file.close(),
    };
  },
  async freeBytes(dir) {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  },
};

async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
