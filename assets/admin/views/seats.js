// Who holds which seat, newest first, as it changes.

import { call } from "../api.js";
import { ask } from "../dialog.js";
import { List } from "../list.js";
import { html } from "../lib.js";
import { to } from "../route.js";
import { toast } from "../toast.js";
import { Ago, customerName } from "../ui.js";

/**
 * @typedef {object} Seat
 * @property {string} session_id
 * @property {string} license_id
 * @property {string} [license_key]
 * @property {any} [customer]
 * @property {string} hardware_id
 * @property {Record<string, any> | null} [metadata]
 * @property {string} started_at
 * @property {string} last_heartbeat_at
 * @property {string} expires_at
 */

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Machine", class: "cut", cell: (/** @type {Seat} */ seat) => html`<span class="mono" title=${seat.hardware_id}>${seat.hardware_id}</span>`, csv: (seat) => seat.hardware_id },
  { title: "Customer", class: "cut", cell: (seat) => customerName(seat) || html`<span class="soft">–</span>`, csv: customerName },
  { title: "Licence", class: "mono", cell: (seat) => html`<a href=${to("licenses", seat.license_id)} title=${seat.license_key}>${short(seat.license_key ?? seat.license_id)}</a>`, csv: (seat) => seat.license_key ?? seat.license_id },
  { title: "Since", cell: (seat) => html`<${Ago} at=${seat.started_at} />`, csv: (seat) => seat.started_at },
  { title: "Last heartbeat", cell: (seat) => html`<${Ago} at=${seat.last_heartbeat_at} />`, csv: (seat) => seat.last_heartbeat_at },
  { title: "Lapses", cell: (seat) => html`<${Ago} at=${seat.expires_at} />`, csv: (seat) => seat.expires_at },
];

/** The end of a key tells it from others, and leaves room for the rest. @param {string} key */
function short(key) {
  return key.length > 20 ? `…${key.slice(-9)}` : key;
}

export default function Seats() {
  return html`<${List} title="Live seats" path="/admin/sessions" columns=${COLUMNS} id=${(/** @type {Seat} */ seat) => seat.session_id}
    everyMs=${2000} rowActions=${(/** @type {Seat} */ seat, /** @type {any} */ poll) => html`<button onClick=${() => takeBack(seat, poll)}>Take back…</button>`}
    empty=${html`<p>No seat is held just now. A licensed application takes one with <code>POST /api/v1/licenses/acquire</code>: try it on
      the <a href="/docs#acquire">API page</a> with a licence key, or see <a href="/handbook/seats">Seats</a>.</p>`} />`;
}

/**
 * Ends a session.
 * @param {Seat} seat @param {import("../poll.js").Poll<{ items: Seat[] }>} poll
 */
export function takeBack(seat, poll) {
  return ask({
    title: "Take back this seat",
    text: html`<p><span class="mono">${seat.hardware_id}</span> is told at its next heartbeat, within minutes. Until somebody else takes the
      seat, that machine can take it again.</p>`,
    action: "Take back", danger: true,
    async submit() {
      await call("DELETE", `/licenses/${seat.license_id}/sessions/${seat.session_id}`);
      poll.change((data) => ({ ...data, items: data.items.filter((each) => each.session_id !== seat.session_id) }));
      toast(html`The seat of <span class="mono">${seat.hardware_id}</span> is free again.`);
    },
  });
}
