// Subscriptions: what customers pay for, where each stands, and what an operator does about it.

import { call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Ago, Day, Status, customerName, ofOrg } from "../ui.js";
import { recordPayment } from "./record-payment.js";

/**
 * @typedef {object} Subscription
 * @property {string} subscription_id
 * @property {string} org_id
 * @property {string} user_id
 * @property {string} plan_id
 * @property {string} plan_name
 * @property {"month" | "year"} interval
 * @property {string} status
 * @property {string | null} trial_end
 * @property {string} current_period_end
 * @property {string | null} grace_period_ends_at
 * @property {boolean} cancel_at_period_end
 * @property {string | null} canceled_at
 * @property {number} quantity
 * @property {number | null} amount_cents what it costs each time that it is paid
 * @property {string | null} stripe_subscription_id
 * @property {string} created_at
 * @property {any} [customer]
 */

/** @type {[string, string][]} */
const STATUSES = [["", "Any"], ["trialing", "On trial"], ["active", "Active"], ["past_due", "Past due"], ["unpaid", "Unpaid"], ["incomplete", "Incomplete"], ["canceled", "Cancelled"]];

/** What happens next, and when. @param {Subscription} each */
function next(each) {
  if (each.status === "canceled") return html`<span class="soft">ended</span> <${Day} at=${each.canceled_at ?? each.current_period_end} />`;
  if (each.cancel_at_period_end) return html`<span class="soft">ends</span> <${Day} at=${each.current_period_end} />`;
  if (each.status === "trialing") return html`<span class="soft">trial ends</span> <${Day} at=${each.trial_end ?? each.current_period_end} />`;
  if (each.status === "past_due") return html`<span class="soft">suspended</span> <${Ago} at=${each.grace_period_ends_at} />`;
  return html`<span class="soft">due</span> <${Day} at=${each.current_period_end} />`;
}

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Customer", class: "cut", cell: (/** @type {Subscription} */ each) => html`<a href=${to("users", each.customer?.user_id ?? each.user_id)}>${customerName(each)}</a>`, csv: customerName },
  { title: "Plan", cell: (each) => (each.quantity > 1 ? `${each.quantity} × ${each.plan_name}` : each.plan_name), csv: (each) => each.plan_name },
  { title: "Quantity", csv: (each) => each.quantity },
  { title: "Status", cell: (each) => html`<${Status} of=${each.status} />`, csv: (each) => each.status },
  { title: "Paid", cell: (each) => `${each.interval === "year" ? "by the year" : "by the month"}${each.stripe_subscription_id ? ", Stripe" : ""}`, csv: (each) => each.interval },
  { title: "Stripe id", csv: (each) => each.stripe_subscription_id },
  { title: "Next", cell: next, csv: null },
  { title: "Since", cell: (each) => html`<${Day} at=${each.created_at} />`, csv: (each) => each.created_at },
  { title: "E-mail", csv: (each) => each.customer?.email },
  { title: "Period ends", csv: (each) => each.current_period_end },
  { title: "Ends with the period", csv: (each) => each.cancel_at_period_end },
  { title: "Subscription id", csv: (each) => each.subscription_id },
];

export default function Subscriptions() {
  return html`<${List} title="Subscriptions" path="/admin/subscriptions" columns=${COLUMNS} id=${(/** @type {Subscription} */ each) => each.subscription_id}
    everyMs=${10_000} filters=${[{ name: "status", label: "Status", options: STATUSES }]} kept=${["org_id"]} narrowedTo=${ofOrg}
    rowActions=${(/** @type {Subscription} */ each) => html`<${Acts} subscription=${each} />`}
    empty=${html`<p>There is no subscription yet. One begins when a customer takes a plan's trial, when a checkout is paid, or when you
      <a href="#/payments">record a payment</a> for an organisation.</p>`} />`;
}

/** @param {{ subscription: Subscription }} props */
function Acts({ subscription }) {
  const { status, cancel_at_period_end } = subscription;
  const lives = status !== "canceled";
  return html`<span class="buttons">${!subscription.stripe_subscription_id && html`<button onClick=${() => recordPayment({ subscription })}>Payment…</button>`}
    ${lives && html`<button onClick=${() => change(subscription)}>Change…</button>`}
    ${status !== "canceled" && (cancel_at_period_end ? html`<button onClick=${() => resume(subscription)}>Resume</button>` : html`<button onClick=${() => cancel(subscription)}>Cancel…</button>`)}</span>`;
}

/** @param {Subscription} subscription */
const path = (subscription) => `/subscriptions/${subscription.subscription_id}`;

/** @param {Subscription} subscription */
async function change(subscription) {
  const plans = (await list("/admin/plans", { limit: 200 })).items.filter((/** @type {any} */ plan) => !plan.archived_at || plan.plan_id === subscription.plan_id);
  return ask({
    title: `Change ${subscription.plan_name}`,
    text: html`<p>For <strong>${customerName(subscription)}</strong>. The licence follows at once.
      ${subscription.stripe_subscription_id ? "The difference is paid at once." : "What was paid stays paid; the next payment is another."}</p>`,
    fields: [
      { name: "plan_id", label: "Plan", type: "select", options: plans.map((/** @type {any} */ plan) => [plan.plan_id, plan.plan_name]) },
      { name: "interval", label: "Paid", type: "select", options: [["month", "By the month"], ["year", "By the year"]] },
      { name: "quantity", label: "How many times the plan", type: "number", min: 1, hint: "Its seats are multiplied by it." },
    ],
    values: { plan_id: subscription.plan_id, interval: subscription.interval, quantity: String(subscription.quantity) },
    action: "Change",
    async submit({ plan_id, interval, quantity }) {
      await call("POST", `${path(subscription)}/change-plan`, { plan_id, interval, quantity: Number(quantity) });
      toast("The subscription is changed.");
    },
  });
}

/** @param {Subscription} subscription */
function resume(subscription) {
  return attempt(() => call("POST", `${path(subscription)}/resume`), { done: "The subscription goes on.", undo: () => call("POST", `${path(subscription)}/cancel`, { at_period_end: true }) });
}

/** @param {Subscription} subscription */
function cancel(subscription) {
  return ask({
    title: `Cancel ${subscription.plan_name}`,
    text: html`<p>For <strong>${customerName(subscription)}</strong>. With the end of the period, what was paid for can be used up and the cancellation taken back.
      At once, its licence stops working now.</p>`,
    fields: [{ name: "when", label: "When", type: "select", options: [["end", "With the end of the period"], ["now", "At once"]] }],
    values: { when: "end" },
    action: "Cancel the subscription", danger: true,
    async submit({ when }) {
      await call("POST", `${path(subscription)}/cancel`, { at_period_end: when === "end" });
      if (when === "end") toast("It ends with its period.", { undo: () => call("POST", `${path(subscription)}/resume`) });
      else toast("The subscription has ended.");
    },
  });
}
