// Payments as they were recorded, by the checkout or by hand.

import { call, serverNow } from "../api.js";
import { ask } from "../dialog.js";
import { amount, count, money } from "../format.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { to } from "../route.js";
import { Day, Money, Tag, customerName, ofOrg } from "../ui.js";
import { recordPayment } from "./record-payment.js";

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Recorded", cell: (each) => html`<${Day} at=${each.recorded_at} />`, csv: (each) => each.recorded_at },
  { title: "Customer", class: "cut", cell: (each) => html`<a href=${to("licenses", "", { org_id: each.org_id })}>${customerName(each)}</a>`, csv: customerName },
  { title: "Amount", class: "number", cell: (each) => (each.kind === "credit" ? html`<span class="soft">–</span>` : html`<${Money} cents=${each.amount_cents} currency=${each.currency} />`), csv: (each) => Number(amount(each.amount_cents, each.currency)) },
  { title: "Kind", cell: (each) => html`<${Kind} payment=${each} />`, csv: (each) => each.kind },
  { title: "Due", csv: (each) => each.due_at },
  { title: "Withdrawn", csv: (each) => each.withdrawn_at },
  { title: "Settled", csv: (each) => each.settled_at },
  { title: "Currency", csv: (each) => each.currency },
  { title: "Pays for", cell: (each) => html`<a href=${to("subscriptions", "", { org_id: each.org_id })}>${count(each.periods, "period")}</a>`, csv: (each) => each.periods },
  { title: "Reference", class: "wide", cell: (each) => each.reference || html`<span class="soft">–</span>`, csv: (each) => each.reference },
  { title: "E-mail", csv: (each) => each.customer?.email },
  { title: "Payment id", csv: (each) => each.payment_id },
  { title: "Subscription id", csv: (each) => each.subscription_id },
];

/** @param {{ payment: any }} props what stands behind it, and whether its money is there */
function Kind({ payment }) {
  if (payment.kind === "credit") return html`<span class="soft">credit</span>`;
  if (payment.kind !== "purchase_order") return "payment";
  if (payment.settled_at) return "order, settled";
  if (payment.withdrawn_at) return html`<span class="soft">order, withdrawn</span>`;
  const late = Date.parse(payment.due_at) <= serverNow();
  return html`<${Tag} tone=${late ? "bad" : "warn"}>order, ${late ? "overdue since" : "due"} <${Day} at=${payment.due_at} /><//>`;
}

/** @param {any} payment */
async function settle(payment) {
  const sum = money(payment.amount_cents, payment.currency);
  await ask({
    title: "Settle the purchase order",
    text: html`<p>The money of ${payment.reference}, ${sum}, has come from ${customerName(payment)}. It counts as revenue from now on, and what stopped because it was late works again.</p>`,
    fields: [],
    action: "Settle",
    submit: () => call("POST", `/admin/payments/${payment.payment_id}/settle`),
  });
}

/** @param {any} payment */
async function withdraw(payment) {
  await ask({
    title: "Withdraw the purchase order", danger: true,
    text: html`<p>The money of ${payment.reference} will not come. What ${customerName(payment)} had paid before goes on to its end; without that, grace begins.</p>`,
    fields: [],
    action: "Withdraw",
    submit: () => call("POST", `/admin/payments/${payment.payment_id}/withdraw`),
  });
}

/** @param {any} payment */
const isOpen = (payment) => payment.kind === "purchase_order" && !payment.settled_at && !payment.withdrawn_at;

export default function Payments() {
  return html`<${List} title="Payments" path="/admin/payments" columns=${COLUMNS} id=${(/** @type {any} */ each) => each.payment_id} everyMs=${15_000} kept=${["org_id"]} narrowedTo=${ofOrg}
    actions=${html`<button class="main" onClick=${() => recordPayment()}>Record a payment</button>`}
    rowActions=${(/** @type {any} */ each) => isOpen(each) && html`<button onClick=${() => settle(each)}>Settle…</button> <button onClick=${() => withdraw(each)}>Withdraw…</button>`}
    empty=${html`<p>No payment has been recorded yet. What the checkout takes appears here by itself; a transfer or a purchase order you record.</p>
      <p><button class="main" onClick=${() => recordPayment()}>Record the first one</button></p>`} />`;
}
