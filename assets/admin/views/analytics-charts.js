// The charts of the figures: recurring revenue, what changed it, and what came in.

import { Chart } from "../chart.js";
import { count, money } from "../format.js";
import { html } from "../lib.js";

/** Plans with a colour of their own; the others are drawn together. */
const PLANS_MAX = 5;
/** @type {("one" | "two" | "three" | "four" | "five" | "six")[]} */
const TONES = ["one", "two", "three", "four", "five", "six"];

/** @typedef {import("./analytics.js").Month} Month */
/** @typedef {import("./analytics.js").Plan} Plan */

/** @param {Month[]} months */
const seconds = (months) => months.map((each) => Date.parse(`${each.month}-01T00:00:00Z`) / 1000);

/** Short enough for an axis. @param {string} currency */
const short = (currency) => (/** @type {number} */ cents) => money(cents, currency).replace(/\.0+$/, "");

/** @param {{ months: Month[], currency: string }} props */
export function Recurring({ months, currency }) {
  const last = months[months.length - 1];
  return html`<${Chart} bars axis="month" label=${`Monthly recurring revenue in ${currency}, now ${money(last.mrr_cents, currency)}`} x=${seconds(months)} format=${short(currency)}
    series=${[{ label: currency, values: months.map((each) => each.mrr_cents) }]}
    table=${html`<table><thead><tr><th scope="col">End of</th><th scope="col" class="number">A month</th><th scope="col" class="number">A year</th><th scope="col" class="number">Customers</th></tr></thead>
      <tbody>${[...months].reverse().map((each) => html`<tr key=${each.month}><td>${each.month}</td><td class="number">${money(each.mrr_cents, currency)}</td><td class="number">${money(each.arr_cents, currency)}</td><td class="number">${count(each.customers)}</td></tr>`)}</tbody></table>`} />`;
}

/** @type {[string, (month: Month) => number, "one" | "two" | "three" | "four" | "five"][]} */
const KINDS = [
  ["New", (month) => month.new.mrr_cents, "three"],
  ["Came back", (month) => month.reactivation.mrr_cents, "one"],
  ["More", (month) => month.expansion.mrr_cents, "four"],
  ["Less", (month) => -month.contraction.mrr_cents, "two"],
  ["Lost", (month) => -month.churn.mrr_cents, "five"],
];

/** @param {{ months: Month[], currency: string }} props */
export function Movements({ months, currency }) {
  const net = months.reduce((sum, month) => sum + KINDS.reduce((of, [, cents]) => of + cents(month), 0), 0);
  return html`<${Chart} bars stacked axis="month" label=${`What changed the recurring revenue in ${currency}, ${money(net, currency)} in all`} x=${seconds(months)} format=${short(currency)}
    series=${KINDS.map(([label, cents, tone]) => ({ label, tone, values: months.map((month) => cents(month) || null) }))}
    table=${html`<table><thead><tr><th scope="col">Month</th>${KINDS.map(([label]) => html`<th scope="col" class="number">${label}</th>`)}</tr></thead>
      <tbody>${[...months].reverse().map((each) => html`<tr key=${each.month}><td>${each.month}</td>${KINDS.map(([, cents]) => html`<td class="number">${money(cents(each), currency)}</td>`)}</tr>`)}</tbody></table>`} />`;
}

/** @param {{ plans: Plan[], months: Month[], currency: string }} props */
export function RevenueByPlan({ plans, months, currency }) {
  const sum = (/** @type {Plan} */ plan) => plan.revenue.reduce((total, month) => total + month.revenue_cents, 0);
  const bought = plans.filter((plan) => sum(plan) > 0).sort((a, b) => sum(b) - sum(a));
  if (!bought.length) return html`<p class="text soft">Nothing came in during these months.</p>`;
  const shown = bought.length > PLANS_MAX + 1 ? bought.slice(0, PLANS_MAX) : bought;
  const rest = bought.slice(shown.length);
  const series = shown.map((plan, i) => ({ label: plan.plan_name, tone: TONES[i], values: plan.revenue.map((month) => month.revenue_cents || null) }));
  if (rest.length) {
    series.push({ label: count(rest.length, "other plan"), tone: TONES[PLANS_MAX], values: months.map((_, i) => rest.reduce((total, plan) => total + plan.revenue[i].revenue_cents, 0) || null) });
  }
  const total = bought.reduce((all, plan) => all + sum(plan), 0);
  return html`<${Chart} key=${series.length} bars stacked axis="month" label=${`Revenue by month and plan in ${currency}, ${money(total, currency)} in all`} x=${seconds(months)} format=${short(currency)} series=${series}
    table=${html`<table><thead><tr><th scope="col">Month</th>${bought.map((plan) => html`<th key=${plan.plan_id} scope="col" class="number">${plan.plan_name}</th>`)}<th scope="col" class="number">Together</th></tr></thead>
      <tbody>${months.map((each, i) => html`<tr key=${each.month}><td>${each.month}</td>${bought.map((plan) => html`<td key=${plan.plan_id} class="number">${money(plan.revenue[i].revenue_cents, currency)}</td>`)}<td class="number">${money(each.revenue_cents, currency)}</td></tr>`).reverse()}</tbody></table>`} />`;
}

/** @param {{ months: Month[], currency: string }} props */
export function MonthsTable({ months, currency }) {
  const share = (/** @type {number | null} */ part) => (part == null ? "–" : `${(part * 100).toFixed(1)} %`);
  const heads = ["Month", "Recurring", "Customers", "New", "Came back", "Lost", "Customers lost", "Revenue lost", "Payments", "Came in"];
  return html`<div class="scroll tall" role="region" aria-label="Month by month" tabindex="0"><table><thead><tr>${heads.map((head, i) => html`<th key=${head} scope="col" class=${i ? "number" : ""}>${head}</th>`)}</tr></thead>
    <tbody>${[...months].reverse().map((each) => html`<tr key=${each.month}><td>${each.month}</td><td class="number">${money(each.mrr_cents, currency)}</td><td class="number">${count(each.customers)}</td>
      <td class="number">${count(each.new.count)}</td><td class="number">${count(each.reactivation.count)}</td><td class="number">${count(each.churn.count)}</td>
      <td class="number">${share(each.customer_churn)}</td><td class="number">${share(each.revenue_churn)}</td><td class="number">${count(each.payments)}</td><td class="number">${money(each.revenue_cents, currency)}</td></tr>`)}</tbody></table></div>`;
}
