// A payment that came by another way than the checkout: a transfer, a purchase order.

import { call, list } from "../api.js";
import { ask } from "../dialog.js";
import { amount, cents, count, money, plain } from "../format.js";
import { html } from "../lib.js";
import { to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { customerName } from "../ui.js";
import { invalid } from "./refuse.js";

/** @typedef {import("./subscriptions.js").Subscription} Subscription */
/** @typedef {import("./plans.js").Plan} Plan */

/** Whose payment, then what for and how much. @param {{ subscription?: Subscription }} [known] */
export async function recordPayment({ subscription } = {}) {
  const plans = await attempt(async () => /** @type {Plan[]} */ ((await list("/admin/plans", { limit: 200 })).items));
  if (!plans) return;
  if (subscription) return record(plans, [subscription], subscription.org_id, customerName(subscription), false);
  const found = await ask({
    title: "Record a payment",
    text: html`<p>A transfer or a purchase order, for a subscription that there is or for a new one.</p>`,
    fields: [{ name: "email", label: "Customer's e-mail address", type: "email" }],
    action: "Go on",
    async submit({ email }) {
      const wanted = email.trim().toLowerCase();
      const users = await list("/admin/users", { q: wanted, limit: 200 });
      const user = users.items.find((each) => each.email === wanted);
      if (!user) throw invalid("email", "Nobody with this address has an account.");
      const theirs = await list("/admin/subscriptions", { org_id: user.org_id, limit: 200 });
      return { user, subscriptions: theirs.items.filter((each) => each.org_id === user.org_id) };
    },
  });
  if (found) await record(plans, found.subscriptions, found.user.org_id, found.user.email, true);
}

/** @param {Plan[]} plans @param {Subscription[]} subscriptions @param {string} org_id @param {string} who @param {boolean} anew a new subscription may be begun */
function record(plans, subscriptions, org_id, who, anew) {
  /** @type {Map<string, { words: string, plan?: Plan, interval: string, body: Record<string, string>, sold?: number | null }>} what it may pay for */
  const targets = new Map();
  for (const each of subscriptions) {
    targets.set(each.subscription_id, {
      words: `${each.plan_name}, ${plain(each.status)}, by the ${each.interval}, until ${each.current_period_end.slice(0, 10)}`,
      plan: plans.find((plan) => plan.plan_id === each.plan_id), interval: each.interval, body: { subscription_id: each.subscription_id }, sold: each.amount_cents,
    });
  }
  for (const plan of anew ? plans.filter((each) => !each.archived_at) : []) {
    for (const interval of plan.yearly_price_cents == null ? ["month"] : ["month", "year"]) {
      targets.set(`${plan.plan_id} ${interval}`, { words: `New: ${plan.plan_name}, by the ${interval}`, plan, interval, body: { org_id, plan_id: plan.plan_id, interval } });
    }
  }
  const price = (/** @type {string} */ key, /** @type {string} */ periods) => {
    const target = targets.get(key);
    const one = target?.sold ?? (target?.interval === "year" ? target.plan?.yearly_price_cents : target?.plan?.monthly_price_cents);
    return one == null || !target?.plan ? "" : amount(one * Math.max(Number(periods) || 1, 1), target.plan.currency);
  };
  const first = targets.keys().next().value ?? "";
  return ask({
    title: `Payment of ${who}`,
    fields: [
      { name: "kind", label: "Kind", type: "select", options: [["payment", "Payment: the money came"], ["purchase_order", "Purchase order: it works now, the money comes later"], ["credit", "Credit: time is given, no money comes"]] },
      { name: "target", label: "Pays for", type: "select", options: [...targets].map(([key, { words }]) => [key, words]) },
      { name: "periods", label: "Periods", type: "number", min: 1, max: 36, hint: "Months or years, as it is paid." },
      { name: "amount_cents", label: "Amount", type: "money", hint: "What it is sold for, unless you change it. A credit has none." },
      { name: "reference", label: "Reference", optional: true, hint: "The number of the purchase order or the bank's reference: what finds it in other books." },
      { name: "due_days", label: "Days until an order is to be settled", type: "number", optional: true, min: 1, max: 365, hint: "For purchase orders; over that date grace begins. Left empty: 30." },
    ],
    values: { kind: "payment", target: first, periods: "1", amount_cents: price(first, "1") },
    change: (values, name) => (name === "kind" && values.kind === "credit" ? { ...values, amount_cents: "0" } : ["target", "periods", "kind"].includes(name) && values.kind !== "credit" ? { ...values, amount_cents: price(values.target, values.periods) } : values),
    action: "Record",
    async submit(values) {
      const target = targets.get(values.target);
      const currency = target?.plan?.currency ?? "EUR";
      const n = cents(values.amount_cents, currency);
      if (Number.isNaN(n)) throw invalid("amount_cents", "Write an amount such as 49 or 49.00.");
      const done = await call("POST", "/admin/payments", {
        ...target?.body, ...(values.kind === "credit" ? {} : { amount_cents: n, currency }), periods: Number(values.periods), kind: values.kind, ...(values.kind === "purchase_order" && values.due_days ? { due_days: Number(values.due_days) } : {}), ...(values.reference ? { reference: values.reference } : {}),
      });
      const what = values.kind === "credit" ? "A credit" : money(n, currency);
      toast(html`${what} for ${count(Number(values.periods), "period")} recorded.
        ${done?.license && html` <a href=${to("licenses", done.license.license_id)}>Its licence</a>`}`);
      return done;
    },
  });
}
