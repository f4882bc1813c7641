// Who holds which seat, newest first as the server lists them.

import { serverNow } from "../api.js";
import { html } from "../lib.js";
import { Ago } from "../ui.js";
import { Listing } from "./listing.js";

/**
 * @typedef {object} SeatRow
 * @property {string} session_id
 * @property {string} license_id
 * @property {string} hardware_id
 * @property {string} started_at
 * @property {string} last_heartbeat_at
 * @property {string} expires_at
 */

export function Seats() {
  return html`<${Listing} title="Live seats" path="/admin/sessions" everyMs=${2000}
    table=${(/** @type {SeatRow[]} */ items) => html`<${SeatTable} items=${items} now=${serverNow()} />`} />`;
}

/** @param {{ items: SeatRow[], now: number, issued?: number }} props `issued`: licences that exist */
export function SeatTable({ items, now, issued }) {
  if (!items.length) return html`<${NoSeats} issued=${issued} />`;
  return html`<div class="scroll" tabindex="0"><table>
    <thead><tr><th scope="col">Machine</th><th scope="col">Last heartbeat</th><th scope="col">Lapses</th><th scope="col">Since</th><th scope="col">Licence</th></tr></thead>
    <tbody>${items.map((seat) => html`<tr key=${seat.session_id}>
      <td class="mono id">${seat.hardware_id}</td>
      <td><${Ago} at=${seat.last_heartbeat_at} now=${now} /></td>
      <td><${Ago} at=${seat.expires_at} now=${now} /></td>
      <td><${Ago} at=${seat.started_at} now=${now} /></td>
      <td class="mono id">${seat.license_id}</td></tr>`)}</tbody></table></div>`;
}

/** @param {{ issued?: number }} props */
function NoSeats({ issued }) {
  if (issued === 0) return html`<p class="empty">No seat can be held before a licence is issued.</p>`;
  return html`<p class="empty">No seat is held just now. A licensed application takes one with
    ${" "}<code>POST /api/v1/licenses/acquire</code>. Try it on the <a href="/docs#acquire">API page</a> with a licence key,
    or see <a href="/handbook/seats">Seats</a>.</p>`;
}
