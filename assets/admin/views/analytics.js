// What the business is worth: recurring revenue and what became of it, what came in, trials and seats.

import { call, download, search } from "../api.js";
import { count, day, money } from "../format.js";
import { html } from "../lib.js";
import { Choice } from "../list.js";
import { useAction, usePoll } from "../poll.js";
import { place } from "../route.js";
import { Empty, Facts, Head, Loading, Section, Trouble } from "../ui.js";
import { MonthsTable, Movements, Recurring, RevenueByPlan } from "./analytics-charts.js";

/** It changes slowly. */
const EVERY_MS = 30_000;
/** @type {[string, string][]} */
const SPANS = [["", "12 months"], ["24", "24 months"], ["36", "36 months"]];
/** @type {[string, string][]} the tables that are saved, and their words */
const TABLES = [["months", "Months"], ["plans", "Plans"], ["trials", "Trials"]];

/**
 * @typedef {{ count: number, mrr_cents: number }} Part
 * @typedef {{ month: string, revenue_cents: number, payments: number }} PlanMonth
 * @typedef {{ plan_id: string, plan_name: string, mrr_cents: number, subscriptions: number, revenue: PlanMonth[] }} Plan
 * @typedef {{ month: string, started: number, running: number, converted: number, ended: number, conversion: number | null }} TrialMonth
 *
 * @typedef {object} Month
 * @property {string} month `2026-11`
 * @property {number} mrr_cents
 * @property {number} arr_cents
 * @property {number} customers
 * @property {Part} new
 * @property {Part} reactivation
 * @property {Part} expansion
 * @property {Part} contraction
 * @property {Part} churn
 * @property {number | null} customer_churn
 * @property {number | null} revenue_churn
 * @property {number} revenue_cents
 * @property {number} payments
 *
 * @typedef {object} Currency
 * @property {string} currency
 * @property {number} mrr_cents
 * @property {number} arr_cents
 * @property {number} customers
 * @property {number | null} arpu_cents
 * @property {number} subscriptions
 * @property {Part} past_due
 * @property {Part} ending
 * @property {Part} unpaid
 * @property {{ count: number, amount_cents: number }} open_invoices
 * @property {Month[]} months
 * @property {Plan[]} plans
 *
 * @typedef {object} AnalyticsAnswer
 * @property {string} generated_at
 * @property {Currency[]} currencies
 * @property {Record<string, number>} subscriptions
 * @property {Omit<TrialMonth, "month"> & { months: TrialMonth[] }} trials
 * @property {{ sold: number, now: number, peak: number, denials: number }} seats
 */

/** @param {number | null | undefined} part of 1 */
export function percent(part) {
  return part == null ? "–" : `${(part * 100).toFixed(1)} %`;
}

export default function Analytics() {
  const { months = "", currency = "" } = place.value.query;
  const asked = search({ months });
  const { data, problem } = usePoll(async () => ({ asked, ...(await call("GET", `/admin/analytics${asked}`)) }), EVERY_MS, [asked]);
  if (!data) return html`<${Head} title="Analytics" /><${Loading} problem=${problem} />`;
  /** @type {AnalyticsAnswer & { asked: string }} */
  const all = data;
  // The one with the most customers is shown while nobody chose.
  const currencies = [...all.currencies].sort((a, b) => b.customers - a.customers);
  const chosen = currencies.find((each) => each.currency === currency) ?? currencies[0];
  return html`<${Head} title="Analytics" actions=${html`<${Save} months=${months} />`} />
    <div class="tools">
      <${Choice} name="months" label="Span" options=${SPANS} />
      ${currencies.length > 1 && html`<${Choice} name="currency" label="Currency" options=${currencies.map((each) => [each.currency, each.currency])} />`}
    </div>
    <${Trouble} problem=${problem} />
    <div class="analytics" aria-busy=${all.asked === asked ? undefined : "true"}>
      ${chosen ? html`<${Money} key=${`${chosen.currency} ${all.asked}`} of=${chosen} />` : html`<${Nothing} trials=${all.trials.started} />`}
      <${TrialPart} of=${all.trials} />
      <${SeatPart} of=${all.seats} />
    </div>
    <p class="soft">Each figure is defined in the <a href="/handbook/analytics">handbook</a>. Months are calendar months in UTC; the last one is not over.</p>`;
}

/** @param {{ months: string }} props */
function Save({ months }) {
  const saving = useAction((table) => download(`/admin/analytics${search({ months, format: "csv", table })}`, `analytics-${table}-${day(new Date().toISOString())}.csv`));
  return html`${TABLES.map(([table, words]) => html`<button key=${table} disabled=${saving.busy} onClick=${() => saving.run(table)}>${words} as CSV</button>`)}
    <${Trouble} problem=${saving.problem} />`;
}

/** @param {{ trials: number }} props */
function Nothing({ trials }) {
  return html`<section class="panel whole"><${Empty}><p>There is no recurring revenue yet.</p>
    <p class="soft">A subscription counts from its first payment on${trials > 0 ? "; the trials below may become one" : ""}. <a href="#/payments">Record a payment</a>, or set up Stripe
      (see <a href="/handbook/payments">Payments</a>). Plans with their prices are made under <a href="#/plans">Plans</a>.</p><//></section>`;
}

/** @param {{ words: string, value: string, note?: any, big?: boolean, tone?: string }} props */
function Figure({ words, value, note, big = false, tone = "" }) {
  return html`<p class=${`figure ${big ? "big" : ""} ${tone}`}><strong>${value}</strong> <span>${words}</span>${note && html` <span class="soft">${note}</span>`}</p>`;
}

/** @param {{ of: Currency }} props */
function Money({ of }) {
  const amount = (/** @type {number | null} */ cents) => (cents == null ? "–" : money(cents, of.currency));
  // The month that is over: this one's share still grows.
  const before = of.months[of.months.length - 2];
  const risk = of.past_due.mrr_cents;
  return html`<section class="panel whole" aria-label=${`Recurring revenue in ${of.currency}`}><div class="figures money">
      <${Figure} big words="monthly recurring revenue" value=${amount(of.mrr_cents)} />
      <${Figure} words="a year" value=${amount(of.arr_cents)} />
      <${Figure} words=${of.customers === 1 ? "paying customer" : "paying customers"} value=${count(of.customers)} note=${count(of.subscriptions, "subscription")} />
      <${Figure} words="a customer, each month" value=${amount(of.arpu_cents)} />
      <${Figure} words="customers lost last month" value=${percent(before?.customer_churn)} note=${before ? `${percent(before.revenue_churn)} of revenue` : ""} />
      <${Figure} words="at risk, in grace" tone=${risk > 0 ? "warn" : ""} value=${amount(risk)} note=${count(of.past_due.count, "subscription")} /></div></section>
    <${Section} class="whole" title="Monthly recurring revenue"><${Recurring} months=${of.months} currency=${of.currency} /><//>
    <${Section} title="What changed it"><${Movements} months=${of.months} currency=${of.currency} /><//>
    <${Section} title="Revenue by plan" actions=${html`<a href="#/payments">Payments</a>`}><${RevenueByPlan} plans=${of.plans} months=${of.months} currency=${of.currency} /><//>
    <${Section} title="Not certain" actions=${html`<a href="#/subscriptions">Subscriptions</a>`}><${Facts} of=${[
      ["In grace", html`${amount(of.past_due.mrr_cents)} a month, <a href="#/subscriptions?status=past_due">${count(of.past_due.count, "subscription")}</a>`],
      ["Ends with its period", `${amount(of.ending.mrr_cents)} a month, ${count(of.ending.count, "subscription")}`],
      ["Unpaid after grace", html`${amount(of.unpaid.mrr_cents)} a month, <a href="#/subscriptions?status=unpaid">${count(of.unpaid.count, "subscription")}</a>`],
      ["Open invoices", html`${amount(of.open_invoices.amount_cents)}, <a href="#/invoices">${count(of.open_invoices.count, "invoice")}</a>`],
    ]} /><//>
    <${Section} title="Plans now">${of.plans.length > 0 && html`<div class="scroll"><table><thead><tr><th scope="col">Plan</th><th scope="col" class="number">Subscriptions</th><th scope="col" class="number">A month</th></tr></thead>
      <tbody>${of.plans.map((plan) => html`<tr key=${plan.plan_id}><td>${plan.plan_name}</td><td class="number">${count(plan.subscriptions)}</td><td class="number">${amount(plan.mrr_cents)}</td></tr>`)}</tbody></table></div>`}<//>
    <${Section} class="whole" title="Month by month"><${MonthsTable} months=${of.months} currency=${of.currency} /><//>`;
}

/** @param {{ of: AnalyticsAnswer["trials"] }} props */
function TrialPart({ of }) {
  const began = of.months.filter((month) => month.started > 0).reverse();
  return html`<${Section} title="Trials">
    <div class="figures"><${Figure} words="became paid" value=${percent(of.conversion)} /><${Figure} words="began" value=${count(of.started)} /><${Figure} words="run" value=${count(of.running)} />
      <${Figure} words="ended unpaid" value=${count(of.ended)} /></div>
    ${began.length > 0 ? html`<div class="scroll tall" role="region" aria-label="Trials by month" tabindex="0"><table><thead><tr><th scope="col">Began in</th><th scope="col" class="number">Trials</th><th scope="col" class="number">Paid</th><th scope="col" class="number">Run</th><th scope="col" class="number">Ended</th><th scope="col" class="number">Became paid</th></tr></thead>
      <tbody>${began.map((month) => html`<tr key=${month.month}><td>${month.month}</td><td class="number">${count(month.started)}</td><td class="number">${count(month.converted)}</td><td class="number">${count(month.running)}</td><td class="number">${count(month.ended)}</td><td class="number">${percent(month.conversion)}</td></tr>`)}</tbody></table></div>`
    : html`<p class="text soft">No trial began in these months. Plans with days of trial offer them.</p>`}<//>`;
}

/** @param {{ of: AnalyticsAnswer["seats"] }} props */
function SeatPart({ of }) {
  return html`<${Section} title="Seats" actions=${html`<a href="#/seats">Who holds them</a>`}>
    <div class="figures"><${Figure} words="sold" value=${count(of.sold)} /><${Figure} words="held now" value=${count(of.now)} note=${of.sold > 0 ? percent(of.now / of.sold) : ""} />
      <${Figure} words="most at once" value=${count(of.peak)} /><${Figure} words="refused, all taken" value=${count(of.denials)} tone=${of.denials ? "warn" : ""} /></div><//>`;
}
