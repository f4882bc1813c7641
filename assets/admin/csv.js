// A whole list as a CSV file (RFC 4180), page after page through the API.

import { Problem, keep, list } from "./api.js";
import { day } from "./format.js";

/** More rows than this are not collected in a browser's memory. */
export const ROWS_MAX = 100_000;
const PER_PAGE = 200;
const ATTEMPTS_MAX = 5;

/** @typedef {{ title: string, csv: (row: any) => any }} CsvColumn */

/**
 * One cell. A spreadsheet runs what begins with one of these signs as a formula, and some of the
 * texts here were written by customers: an apostrophe makes them text. Numbers stay numbers.
 * @param {any} value
 */
export function cell(value) {
  if (value == null) return "";
  let text = String(value);
  if (typeof value !== "number" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {any[]} cells */
export function line(cells) {
  return `${cells.map(cell).join(",")}\r\n`;
}

/**
 * Collects every row and saves the file.
 * @param {{ path: string, query: Record<string, string>, columns: CsvColumn[], name: string }} what
 * @param {{ progress: (rows: number) => void, stopped: () => boolean }} watch
 * @returns {Promise<{ rows: number, cut: boolean } | null>} `cut`: there are more than `ROWS_MAX`; null when stopped
 */
export async function exportCsv({ path, query, columns, name }, { progress, stopped }) {
  // The byte order mark tells a spreadsheet that this is UTF-8.
  const parts = ["\ufeff", line(columns.map((column) => column.title))];
  let rows = 0, cursor = "";
  do {
    const page = await patiently(() => list(path, { ...query, limit: PER_PAGE, cursor }));
    if (stopped()) return null;
    const items = page.items.slice(0, ROWS_MAX - rows);
    parts.push(items.map((row) => line(columns.map((column) => column.csv(row)))).join(""));
    rows += items.length;
    cursor = page.next_cursor ?? "";
    progress(rows);
  } while (cursor && rows < ROWS_MAX);
  keep(new Blob(parts, { type: "text/csv;charset=utf-8" }), `${name}-${day(new Date().toISOString())}.csv`);
  return { rows, cut: Boolean(cursor) };
}

/** Waits as long as the server asks for, a few times. @template T @param {() => Promise<T>} ask @returns {Promise<T>} */
async function patiently(ask) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Problem) || !error.retryAfterS || attempt === ATTEMPTS_MAX) throw error;
      await new Promise((resolve) => { setTimeout(resolve, error.retryAfterS * 1000); });
    }
  }
}
