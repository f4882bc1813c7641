// The two charts of the overview: seats over the last day, and money over the last year.

import { call, serverNow } from "../api.js";
import { Chart } from "../chart.js";
import { count, money, seconds } from "../format.js";
import { html } from "../lib.js";
import { usePoll } from "../poll.js";
import { Loading } from "../ui.js";

/** The server counts as often. */
const EVERY_MS = 10_000;
/** Rows of the table behind the chart. */
const ROWS_MAX = 96;
/** A chart of fewer months says nothing. */
const MONTHS_MIN = 6;

/** @typedef {{ at: string, live: number, denials: number }} Point the most seats, and all refusals, since the point before */

/** @param {{ live: number }} props seats held at this moment */
export function SeatChart({ live }) {
  const { data, problem } = usePoll(async () => (await call("GET", "/admin/seats/history")).items, EVERY_MS);
  if (!data) return problem?.status === 404 ? null : html`<${Loading} problem=${problem} />`;
  /** @type {Point[]} */
  const points = data;
  if (points.length < 3) return html`<p class="text soft">The curve of the last day begins here: the server counts every ten seconds since its start.</p>`;
  const x = points.map((point) => Math.round(Date.parse(point.at) / 1000));
  const last = Math.round(serverNow() / 1000);
  const now = last > x[x.length - 1];
  const denied = points.some((point) => point.denials > 0);
  const top = Math.max(live, ...points.map((point) => point.live));
  const tail = (/** @type {number | null} */ n) => (now ? [n] : []);
  const step = Math.ceil(points.length / ROWS_MAX);
  const rows = points.filter((_, i) => (points.length - 1 - i) % step === 0).reverse();
  return html`<${Chart} label=${`Seats held over the last ${seconds(last - x[0])}: at most ${count(top)}, now ${count(live)}`}
    x=${now ? [...x, last] : x} format=${(/** @type {number} */ n) => count(n)}
    series=${[
      { label: "held", area: true, values: [...points.map((point) => point.live), ...tail(live)] },
      ...(denied ? [{ label: "refused", tone: /** @type {const} */ ("warn"), bars: true, values: [...points.map((point) => point.denials || null), ...tail(null)] }] : []),
    ]}
    table=${html`<table><thead><tr><th scope="col">Until (UTC)</th><th scope="col" class="number">Held</th><th scope="col" class="number">Refused</th></tr></thead>
      <tbody>${rows.map((point) => html`<tr key=${point.at}><td>${point.at.slice(0, 19).replace("T", " ")}</td><td class="number">${count(point.live)}</td><td class="number">${count(point.denials)}</td></tr>`)}</tbody></table>`} />`;
}

/** One chart per currency: sums of unlike money would mean nothing. @param {{ revenue: { month: string, currency: string, amount_cents: number, payments: number }[] }} props */
export function Revenue({ revenue }) {
  const currencies = [...new Set(revenue.map((each) => each.currency))];
  return currencies.map((currency) => {
    const months = filled(revenue.filter((each) => each.currency === currency));
    const total = months.reduce((sum, each) => sum + each.amount_cents, 0);
    return html`<${Chart} key=${currency} bars axis="month" height=${150} label=${`Revenue by month in ${currency}, ${money(total, currency)} in all`}
      x=${months.map((each) => Date.parse(`${each.month}-01T00:00:00Z`) / 1000)} format=${(/** @type {number} */ n) => money(n, currency).replace(/\.0+$/, "")}
      series=${[{ label: currency, values: months.map((each) => each.amount_cents) }]}
      table=${html`<table><thead><tr><th scope="col">Month</th><th scope="col" class="number">Payments</th><th scope="col" class="number">Amount</th></tr></thead>
        <tbody>${[...months].reverse().map((each) => html`<tr key=${each.month}><td>${each.month}</td><td class="number">${count(each.payments)}</td><td class="number">${money(each.amount_cents, currency)}</td></tr>`)}</tbody></table>`} />`;
  });
}

/** With the months between that had none. @param {{ month: string, amount_cents: number, payments: number }[]} months */
function filled(months) {
  const sorted = [...months].sort((a, b) => (a.month < b.month ? -1 : 1));
  const last = sorted[sorted.length - 1].month;
  let first = last;
  for (let n = 1; n < MONTHS_MIN; n += 1) first = before(first);
  if (sorted[0].month < first) first = sorted[0].month;
  const all = [];
  for (let at = first; at <= last; at = after(at)) {
    all.push(sorted.find((each) => each.month === at) ?? { month: at, amount_cents: 0, payments: 0 });
  }
  return all;
}

/** @param {string} month */
function after(month) {
  const [year, number] = month.split("-").map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
}

/** @param {string} month */
function before(month) {
  const [year, number] = month.split("-").map(Number);
  return number === 1 ? `${year - 1}-12` : `${year}-${String(number - 1).padStart(2, "0")}`;
}
