// Payments as they were recorded, by the checkout or by hand.

import { amount, count } from "../format.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { to } from "../route.js";
import { Day, Money, customerName, ofOrg } from "../ui.js";
import { recordPayment } from "./record-payment.js";

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Recorded", cell: (each) => html`<${Day} at=${each.recorded_at} />`, csv: (each) => each.recorded_at },
  { title: "Customer", class: "cut", cell: (each) => html`<a href=${to("licenses", "", { org_id: each.org_id })}>${customerName(each)}</a>`, csv: customerName },
  { title: "Amount", class: "number", cell: (each) => html`<${Money} cents=${each.amount_cents} currency=${each.currency} />`, csv: (each) => Number(amount(each.amount_cents, each.currency)) },
  { title: "Currency", csv: (each) => each.currency },
  { title: "Pays for", cell: (each) => html`<a href=${to("subscriptions", "", { org_id: each.org_id })}>${count(each.periods, "period")}</a>`, csv: (each) => each.periods },
  { title: "Reference", class: "wide", cell: (each) => each.reference || html`<span class="soft">–</span>`, csv: (each) => each.reference },
  { title: "E-mail", csv: (each) => each.customer?.email },
  { title: "Payment id", csv: (each) => each.payment_id },
  { title: "Subscription id", csv: (each) => each.subscription_id },
];

export default function Payments() {
  return html`<${List} title="Payments" path="/admin/payments" columns=${COLUMNS} id=${(/** @type {any} */ each) => each.payment_id} everyMs=${15_000} kept=${["org_id"]} narrowedTo=${ofOrg}
    actions=${html`<button class="main" onClick=${() => recordPayment()}>Record a payment</button>`}
    empty=${html`<p>No payment has been recorded yet. What the checkout takes appears here by itself; a transfer or a purchase order you record.</p>
      <p><button class="main" onClick=${() => recordPayment()}>Record the first one</button></p>`} />`;
}
