/** An option's symbol taken apart: ROOT, YYMMDD, C or P, strike in thousandths as 8 digits (OCC, no padding). */

export interface OccSymbol {
  readonly root: string;
  /** YYYY-MM-DD */
  readonly expirationDate: string;
  readonly type: 'call' | 'put';
  /** Decimal text without trailing zeros: `152.5`. */
  readonly strikePrice: string;
}

const OCC = /^([A-Z0-9.]{1,6})(\d{2})(\d{2})(\d{2})([CP])(\d{5})(\d{3})$/;

export function parseOccSymbol(symbol: string): OccSymbol | undefined {
  const [, root, year, month, day, right, dollars, mills] = OCC.exec(symbol) ?? [];
  if (root === undefined || dollars === undefined || mills === undefined) return undefined;
  const whole = dollars.replace(/^0+(?=\d)/, '');
  const fraction = mills.replace(/0+$/, '');
  return {
    root,
    expirationDate: `20${year ?? ''}-${month ?? ''}-${day ?? ''}`,
    type: right === 'C' ? 'call' : 'put',
    strikePrice: fraction === '' ? whole : `${whole}.${fraction}`,
  };
}
