/** A small ext4 on a loop device whose power can be cut: what was not synced is gone, as on a real disk. Needs root. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. */
const SHUTDOWN = `
  open(my $disk, '<', $ARGV[0]) or die $!;
  my $flags = pack('L', 2);
  my $at = clock_gettime(CLOCK_MONOTONIC);
  ioctl($disk, 0x8004587d, $flags) or die $!;
  printf('%.0f', $at * 1e9);`;

export class LoopDisk {
  readonly mountPoint: string;
  readonly #image: string;
  readonly #dir: string;
  #isMounted = false;

  /** @throws when a tool refuses; nothing is left mounted then. */
  constructor(megabytes: number) {
    this.#dir = mkdtempSync(join(tmpdir(), 'opitios-loop-'));
    this.#image = join(this.#dir, 'image');
    this.mountPoint = join(this.#dir, 'mount');
    mkdirSync(this.mountPoint);
    try {
      run('truncate', '-s', `${megabytes}M`, this.#image);
      run('mkfs.ext4', '-q', '-F', this.#image);
      this.mount();
    } catch (cause) {
      this.remove();
      throw cause;
    }
  }

  /** Why this machine cannot do it; undefined when it can. */
  static whyNot(): string | undefined {
    if (process.getuid?.() !== 0) return 'not root';
    let disk: LoopDisk | undefined;
    try {
      disk = new LoopDisk(8);
      disk.cutPower();
      return undefined;
    } catch (cause) {
      return String(cause);
    } finally {
      disk?.remove();
    }
  }

  /** `loop` gives the device back at unmount, however that comes about. */
  mount(): void {
    run('mount', '-o', 'loop', this.#image, this.mountPoint);
    this.#isMounted = true;
  }

  /**
   * Without flushing: what only the page cache has is lost. Whoever writes meets EIO, but a sync that is under way may
   * be told a success that it is not: with the journal aborted under it the kernel finds nothing left to wait for.
   * @returns the moment before, in nanoseconds of CLOCK_MONOTONIC: what was synced by then is on the disk.
   */
  cutPower(): bigint {
    return BigInt(run('perl', '-MTime::HiRes=clock_gettime,CLOCK_MONOTONIC', '-e', SHUTDOWN, this.mountPoint));
  }

  /** Whoever had files open there must have ended. */
  unmount(): void {
    run('umount', this.mountPoint);
    this.#isMounted = false;
  }

  /** Never throws: the mount goes even if somebody still has files open. */
  remove(): void {
    if (this.#isMounted) spawnSync('umount', ['-l', this.mountPoint]);
    this.#isMounted = false;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function run(command: string, ...args: readonly string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8' });
  if (done.status === 0) return done.stdout;
  throw new TypeError(`${command}: ${done.error?.message ?? done.stderr}`);
}
