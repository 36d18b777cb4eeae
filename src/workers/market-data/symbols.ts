/** Which texts can be a symbol at all. What passes may still be unknown to the broker. */

const STOCK = /^[A-Z][A-Z0-9]{0,9}(?:[.-][A-Z0-9]{1,5})?$/;
const OPTION = /^[A-Z0-9.]{1,6}\d{6}[CP]\d{8}$/;

export type SymbolKind = 'stock' | 'option';

/** The symbol in the broker's spelling, or undefined for a malformed one. */
export function normalizeSymbol(kind: SymbolKind, text: string): string | undefined {
  const symbol = text.trim().toUpperCase();
  return (kind === 'stock' ? STOCK : OPTION).test(symbol) ? symbol : undefined;
}
