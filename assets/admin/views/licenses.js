// Licences as they were issued, with their status and size.

import { html } from "../lib.js";
import { Copy, Day, Tag, count } from "../ui.js";
import { Listing } from "./listing.js";
import { STATUS_TONE } from "./status.js";

/**
 * @typedef {object} LicenseRow
 * @property {string} license_id
 * @property {string} license_key
 * @property {string} status
 * @property {number} max_concurrent_seats
 * @property {number} [seats_used]
 * @property {string} org_id
 * @property {string} [plan_name]
 * @property {string | null} [expiry_date]
 * @property {string} issued_at
 */

export function Licenses() {
  return html`<${Listing} title="Licences" path="/admin/licenses" everyMs=${5000}
    table=${(/** @type {LicenseRow[]} */ items) => html`<${LicenseTable} items=${items} />`} />`;
}

/** @param {{ items: LicenseRow[] }} props */
export function LicenseTable({ items }) {
  if (!items.length) return html`<${NoLicenses} />`;
  return html`<div class="scroll" tabindex="0"><table>
    <thead><tr><th scope="col">Key</th><th scope="col">Status</th><th scope="col">Plan</th><th scope="col" class="number">Seats</th><th scope="col">Issued</th><th scope="col">Expires</th></tr></thead>
    <tbody>${items.map((license) => html`<tr key=${license.license_id}>
      <td class="mono key">${license.license_key} <${Copy} text=${license.license_key} /></td>
      <td><${Tag} tone=${STATUS_TONE[license.status]}>${license.status}<//></td>
      <td>${license.plan_name || html`<span class="soft">–</span>`}</td>
      <td class="number">${license.seats_used == null ? "" : `${count(license.seats_used)} of `}${count(license.max_concurrent_seats)}</td>
      <td><${Day} at=${license.issued_at} /></td>
      <td><${Day} at=${license.expiry_date} missing="never" /></td></tr>`)}</tbody></table></div>`;
}

function NoLicenses() {
  return html`<div class="empty"><p>No licence has been issued yet. What comes first:</p>
    <ol><li><a href="/docs#create_plan">Create a plan</a> on the API page: <code>POST /api/v1/admin/plans</code></li>
      <li><a href="/docs#issue_license">Issue a licence</a> from it: <code>POST /api/v1/admin/licenses</code>. Or let a
        customer register and take the plan's trial.</li></ol>
    <p>To look around among sample data instead, start a second server: <code>coditect serve --demo --listen 127.0.0.1:8751</code></p></div>`;
}
