/** Opens a slot's journal on disk: the lock first, then the environment; the other slots read-only, when they are asked. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../runtime/clock.js';
import type { AccountJournalOptions } from './account-journal.js';
import { LmdbStore } from './lmdb-store.js';
import { lockSlot } from './slot-lock.js';
import { SlotJournal } from './slot-journal.js';
import type { Store } from './store.js';

export interface OpenJournalOptions extends AccountJournalOptions {
  /** Holds `journal/<slot>`. */
  readonly dataDir: string;
  readonly slot: number;
  /** Below this much free space new orders are refused. */
  readonly freeBytesMin: number;
  /** How long each commit took, its wait for the one before included. */
  readonly onCommitted?: (spentMs: number) => void;
}

/** @throws GatewayError JOURNAL_LOCKED, JOURNAL_BROKEN */
export async function openJournal(options: OpenJournalOptions, clock: Clock): Promise<SlotJournal> {
  const root = join(options.dataDir, 'journal');
  const dir = join(root, String(options.slot));
  const lock = await lockSlot(dir);
  const others = new Map<string, LmdbStore>();
  let own: LmdbStore;
  try {
    const { freeBytesMin, onCommitted } = options;
    own = new LmdbStore(
      { dir, readOnly: false, freeBytesMin, ...(onCommitted !== undefined && { onCommitted }) },
      clock,
    );
  } catch (cause) {
    await lock.release();
    throw cause;
  }
  const stores = {
    own,
    others: (): readonly Store[] => {
      for (const name of otherSlots(root, options.slot)) {
        if (!others.has(name)) {
          others.set(name, new LmdbStore({ dir: join(root, name), readOnly: true, freeBytesMin: 0 }, clock));
        }
      }
      return [...others.values()];
    },
    close: async (): Promise<void> => {
      for (const store of [own, ...others.values()]) await store.close();
      await lock.release();
    },
  };
  return new SlotJournal(stores, options, clock);
}

/** A slot that has only just been made has no environment yet, and so no record of anybody. */
function otherSlots(root: string, slot: number): readonly string[] {
  return readdirSync(root).filter(
    (name) => /^\d+$/.test(name) && name !== String(slot) && existsSync(join(root, name, 'data.mdb')),
  );
}
