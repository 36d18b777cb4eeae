/**
 * Names the mark of one order in a file outside its process. The mark is set right before the first byte of the order
 * may leave, so a successor that finds it unset knows that nothing left (docs/decisions/0070).
 */
export interface FirstByteMark {
  /** The kernel's boot id: after another boot, memory holds nothing of what it held. */
  readonly boot: string;
  /** Name of the file; its random part stands in the file's head too. */
  readonly file: string;
  /** The order's number in that file: 1, 2, 3 … */
  readonly number: number;
}
