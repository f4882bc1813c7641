// Licences: the list, and behind `#/licenses/ID` one of them.

import { html } from "../lib.js";
import { List } from "../list.js";
import { to } from "../route.js";
import { Day, Status, Use, customerName, ofOrg } from "../ui.js";
import { issue } from "./license-actions.js";
import { License } from "./license.js";

/**
 * @typedef {object} LicenseRow
 * @property {string} license_id
 * @property {string} license_key
 * @property {string} status
 * @property {"operator" | "payment"} [suspended_by] while it is suspended
 * @property {number} max_concurrent_seats
 * @property {number} seats_used
 * @property {number | null} max_activations
 * @property {string} org_id
 * @property {string} user_id
 * @property {string | null} subscription_id
 * @property {string} plan_name
 * @property {Record<string, any>} features
 * @property {string | null} expiry_date
 * @property {string | null} grace_period_ends_at
 * @property {string} issued_at
 * @property {string} updated_at
 * @property {{ org_id: string, org_name: string, user_id: string, email: string, full_name: string } | null} [customer]
 */

/** @type {[string, string][]} */
export const LICENSE_STATUS = [["", "Any"], ["active", "Active"], ["grace", "In grace"], ["suspended", "Suspended"], ["expired", "Expired"], ["inactive", "Inactive"], ["revoked", "Revoked"]];

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Key", class: "mono", cell: (/** @type {LicenseRow} */ license) => license.license_key },
  { title: "Customer", class: "cut", cell: (license) => html`<span title=${license.customer?.email}>${customerName(license)}</span>
      ${license.customer?.email && license.customer.email !== customerName(license) && html`<span class="sub"> ${license.customer.email}</span>`}`, csv: customerName },
  { title: "Plan", cell: (license) => license.plan_name || html`<span class="soft">–</span>`, csv: (license) => license.plan_name },
  { title: "Seats", cell: (license) => html`<${Use} used=${license.seats_used} max=${license.max_concurrent_seats} />`, csv: (license) => license.max_concurrent_seats },
  { title: "Status", cell: (license) => html`<${Status} of=${license.status} />`, csv: (license) => license.status },
  { title: "Expires", cell: (license) => html`<${Day} at=${license.expiry_date} missing="never" />`, csv: (license) => license.expiry_date },
  { title: "E-mail", csv: (license) => license.customer?.email },
  { title: "Seats used", csv: (license) => license.seats_used },
  { title: "Issued", csv: (license) => license.issued_at },
  { title: "Licence id", csv: (license) => license.license_id },
  { title: "Organisation id", csv: (license) => license.org_id },
];

/** @param {{ id: string, query: Record<string, string> }} props */
export default function Licenses({ id, query }) {
  if (id) return html`<${License} id=${id} />`;
  return html`<${List} title="Licences" path="/admin/licenses" columns=${COLUMNS} id=${(/** @type {LicenseRow} */ license) => license.license_id}
    href=${(/** @type {LicenseRow} */ license) => to("licenses", license.license_id)} search="Key, e-mail, name, hardware id"
    filters=${[{ name: "status", label: "Status", options: LICENSE_STATUS }]} kept=${["org_id"]} narrowedTo=${ofOrg}
    actions=${html`<button class="main" onClick=${() => issue({ org_id: query.org_id })}>Issue a licence</button>`}
    empty=${html`<p>No licence has been issued yet. What comes first:</p>
      <ol><li><a href="#/plans">Create a plan</a>: its seats, price and trial.</li>
        <li><button class="plain" onClick=${() => issue()}>Issue the first licence</button> from it. Or let a customer register and take the plan's trial.</li></ol>
      <p>To look around among sample data instead, start a second server: <code>coditect serve --demo --listen 127.0.0.1:8751</code></p>`} />`;
}
