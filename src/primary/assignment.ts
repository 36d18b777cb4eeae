/**
 * Who owns what now. The single writer is the primary. An epoch rises on every move and never falls, also over
 * restarts: the table is on disk before anybody is told of it, and a table that cannot be read stops the start.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { GatewayError } from '../kernel/domain/errors.js';
import { isAccountId, type AccountId } from '../kernel/domain/identifiers.js';
import type { Assignment, OwnershipTable } from '../kernel/ipc/ownership.js';
import type { Ownership } from './partition.js';

interface Place {
  readonly slot: number;
  readonly epoch: number;
}

export class AssignmentTable {
  #places = new Map<AccountId, Place>();
  /** Also of accounts that were removed: they may come back. */
  #lastEpochs = new Map<AccountId, number>();
  #version = 0;

  private constructor(
    private readonly file: string,
    private readonly floorOf: (accountId: AccountId) => number,
  ) {}

  /**
   * Nothing is owned after a start; where accounts were before is kept, so that they go there again.
   * @param floorOf below it no epoch of the account is given: that of the lease under which this instance holds it
   * @throws GatewayError JOURNAL_BROKEN
   */
  static open(file: string, floorOf: (accountId: AccountId) => number = () => 0): AssignmentTable {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const table = new AssignmentTable(file, floorOf);
    table.#load();
    return table;
  }

  /** The highest epoch that was ever given here. */
  highestEpoch(): number {
    return Math.max(0, ...this.#lastEpochs.values());
  }

  ownership(): Ownership {
    return new Map([...this.#places].map(([account, { slot }]) => [account, slot]));
  }

  ownedBy(slot: number): readonly Assignment[] {
    return this.table().assignments.filter((assignment) => assignment.slot === slot);
  }

  table(): OwnershipTable {
    const assignments = [...this.#places].map(([accountId, place]) => ({ accountId, ...place }));
    return { version: this.#version, assignments };
  }

  /**
   * Gives accounts to slots, each with a new epoch, even when the slot is the same: its worker is another one.
   * `removed` are not configured any more. Durable when it returns. @throws GatewayError JOURNAL_BROKEN: nothing was moved.
   */
  move(moves: Ownership, removed: readonly AccountId[] = []): readonly Assignment[] {
    const places = new Map(this.#places);
    for (const account of removed) places.delete(account);
    const lastEpochs = new Map(this.#lastEpochs);
    for (const [account, slot] of moves) {
      const epoch = Math.max((lastEpochs.get(account) ?? 0) + 1, this.floorOf(account));
      lastEpochs.set(account, epoch);
      places.set(account, { slot, epoch });
    }
    this.#commit(places, lastEpochs);
    return [...moves].map(([accountId, slot]) => ({ accountId, slot, epoch: lastEpochs.get(accountId) ?? 0 }));
  }

  /** The accounts are no longer configured. Their epochs are remembered. */
  remove(accounts: readonly AccountId[]): void {
    const places = new Map(this.#places);
    for (const account of accounts) places.delete(account);
    this.#commit(places, this.#lastEpochs);
  }

  #commit(places: Map<AccountId, Place>, lastEpochs: Map<AccountId, number>): void {
    const version = this.#version + 1;
    const accounts = [...lastEpochs].map(([id, epoch]) => [id, epoch, places.get(id)?.slot ?? null]);
    try {
      writeDurably(this.file, JSON.stringify({ version, accounts }));
    } catch (cause) {
      throw new GatewayError('JOURNAL_BROKEN', { file: this.file }, { cause, message: 'ownership cannot be written' });
    }
    this.#places = places;
    this.#lastEpochs = lastEpochs;
    this.#version = version;
  }

  #load(): void {
    let text: string;
    try {
      text = readFileSync(this.file, 'utf8');
    } catch (cause) {
      if ((cause as { readonly code?: unknown }).code === 'ENOENT') return;
      throw unreadable(this.file, cause);
    }
    try {
      const stored = JSON.parse(text) as { readonly version: unknown; readonly accounts: readonly unknown[] };
      for (const row of stored.accounts) this.#loadRow(row as readonly unknown[]);
      this.#version = wholeNumber(stored.version);
    } catch (cause) {
      throw unreadable(this.file, cause);
    }
  }

  #loadRow([id, epoch, slot]: readonly unknown[]): void {
    if (typeof id !== 'string' || !isAccountId(id)) throw new GatewayError('JOURNAL_BROKEN', { file: this.file });
    this.#lastEpochs.set(id, wholeNumber(epoch));
    if (slot !== null) this.#places.set(id, { slot: wholeNumber(slot), epoch: wholeNumber(epoch) });
  }
}

function wholeNumber(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new GatewayError('JOURNAL_BROKEN', { value });
  return value;
}

function unreadable(file: string, cause: unknown): GatewayError {
  return new GatewayError(
    'JOURNAL_BROKEN',
    { file },
    { cause, message: `${file} cannot be read: epochs would fall. Restore it, or remove it together with the journal` },
  );
}

function writeDurably(file: string, text: string): void {
  const temporary = `${file}.new`;
  const descriptor = openSync(temporary, 'w', 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
  const directory = openSync(dirname(file), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
