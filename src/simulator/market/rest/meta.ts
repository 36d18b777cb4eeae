/** The code tables: exchanges, and conditions of trades and quotes. Only the codes that the simulator itself uses, and a few. */
import { badRequest } from './answer.js';

const STOCK_EXCHANGES = {
  A: 'NYSE American (AMEX)',
  K: 'Cboe EDGX',
  N: 'New York Stock Exchange',
  P: 'NYSE Arca',
  Q: 'NASDAQ OMX',
  V: 'IEX',
  Z: 'Cboe BZ',
};
const OPTION_EXCHANGES = {
  A: 'AMEX - NYSE American',
  B: 'BOX - Boston Options Exchange',
  C: 'CBOE - Cboe Options Exchange',
  M: 'MIAX - Miami International Securities Exchange',
  N: 'NYSE - NYSE Arca',
  W: 'CBOE - Cboe C2 Options',
  X: 'PHLX - Nasdaq PHLX',
};
const CONDITIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'stocks/trade': { ' ': 'Regular Sale', '@': 'Regular Sale', F: 'Intermarket Sweep', I: 'Odd Lot Trade' },
  'stocks/quote': { A: 'Manual Ask, Automated Bid', B: 'Manual Bid, Automated Ask', R: 'Regular Two Sided Open' },
  'options/trade': { I: 'AUTO - Automatic', S: 'ISOI - Intermarket Sweep', a: 'SLAN - Single Leg Auction' },
  'options/quote': { ' ': 'Not Applicable', A: 'Eligible for Automatic Execution' },
};

/** `rest` is what follows /meta/. undefined when there is no such table. */
export function metaOf(family: 'stocks' | 'options', rest: readonly string[], query: URLSearchParams): unknown {
  if (rest.length === 1 && rest[0] === 'exchanges') return family === 'stocks' ? STOCK_EXCHANGES : OPTION_EXCHANGES;
  if (rest.length !== 2 || rest[0] !== 'conditions') return undefined;
  const table = CONDITIONS[`${family}/${rest[1] ?? ''}`];
  if (table === undefined) throw badRequest(`invalid ticktype: ${rest[1] ?? ''}`);
  if (family === 'stocks' && !/^[ABC]$/.test(query.get('tape') ?? '')) throw badRequest('tape is required: A, B or C');
  return table;
}
