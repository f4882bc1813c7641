// Invoices of the payment provider, as they were told here.

import { amount } from "../format.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { to } from "../route.js";
import { Day, Money, Tag, ofOrg } from "../ui.js";

/** @type {Record<string, "good" | "warn" | "bad">} */
const TONES = { paid: "good", open: "warn", uncollectible: "bad" };

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Number", cell: (each) => (each.hosted_url ? html`<a href=${each.hosted_url} target="_blank" rel="noreferrer">${each.number ?? "draft"}</a>` : each.number ?? "draft"), csv: (each) => each.number },
  { title: "Made", cell: (each) => html`<${Day} at=${each.created_at} />`, csv: (each) => each.created_at },
  { title: "Status", cell: (each) => html`<${Tag} tone=${TONES[each.status]}>${each.status}<//>`, csv: (each) => each.status },
  { title: "Due", class: "number", cell: (each) => html`<${Money} cents=${each.amount_due_cents} currency=${each.currency} />`, csv: (each) => Number(amount(each.amount_due_cents, each.currency)) },
  { title: "Paid", class: "number", cell: (each) => html`<${Money} cents=${each.amount_paid_cents} currency=${each.currency} />`, csv: (each) => Number(amount(each.amount_paid_cents, each.currency)) },
  { title: "Given back", class: "number", cell: (each) => (each.amount_refunded_cents ? html`<${Money} cents=${each.amount_refunded_cents} currency=${each.currency} />` : html`<span class="soft">–</span>`), csv: (each) => Number(amount(each.amount_refunded_cents, each.currency)) },
  { title: "Currency", csv: (each) => each.currency },
  { title: "Whose", cell: (each) => html`<a href=${to("subscriptions", "", { org_id: each.org_id })}>subscription</a>`, csv: (each) => each.org_id },
  { title: "Stripe id", csv: (each) => each.stripe_invoice_id },
  { title: "Invoice id", csv: (each) => each.invoice_id },
];

export default function Invoices() {
  return html`<${List} title="Invoices" path="/admin/invoices" columns=${COLUMNS} id=${(/** @type {any} */ each) => each.invoice_id} everyMs=${15_000} kept=${["org_id"]} narrowedTo=${ofOrg}
    empty=${html`<p>There is no invoice. They are made by Stripe, once its keys are set (see <a href="/handbook/payments">Payments</a>); a payment that arrives
      by other ways you <a href="#/payments">record</a>.</p>`} />`;
}
