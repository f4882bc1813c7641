// One licence: what it is, who holds its seats right now, its machines, its history, and what can be done to it.

import { call, list } from "../api.js";
import { count } from "../format.js";
import { html, useEffect } from "../lib.js";
import { Table } from "../list.js";
import { watchLicense } from "../live.js";
import { usePoll } from "../poll.js";
import { to } from "../route.js";
import { Ago, Copy, Day, Facts, Head, Loading, Note, Section, Status, Trouble, Use } from "../ui.js";
import { know } from "./audit-words.js";
import { History } from "./history.js";
import { extend, reinstate, resend, resize, revoke, saveFile, suspend, unbind } from "./license-actions.js";
import { takeBack } from "./seats.js";

/** @typedef {import("./licenses.js").LicenseRow} LicenseRow */

/** @param {{ id: string }} props */
export function License({ id }) {
  const facts = usePoll(() => call("GET", `/licenses/${id}`), 10_000, [id]);
  const seats = usePoll(() => list(`/licenses/${id}/sessions`, { limit: 200 }), 10_000, [id]);
  useEffect(() => watchLicense(id, () => { facts.again(); seats.again(); }), [id]);
  /** @type {LicenseRow | undefined} */
  const license = facts.data;
  const back = { href: "#/licenses", title: "Licences" };
  if (!license) return html`<${Head} title="Licence" back=${back} /><${Loading} problem=${facts.problem} />`;
  const over = license.status === "revoked";
  return html`<${Head} title=${license.license_key} back=${back} name=${html`<span class="mono">${license.license_key}</span>`}
      actions=${html`
        ${!over && html`<button onClick=${() => saveFile(license)}>Signed file</button>
          <button onClick=${() => resend(license)}>Mail again</button>
          <button onClick=${() => resize(license)}>Seats…</button>
          ${!license.subscription_id && html`<button onClick=${() => extend(license)}>End…</button>`}
          ${license.suspended_by === "operator" ? html`<button class="main" onClick=${() => reinstate(license)}>Reinstate</button>` : html`<button onClick=${() => suspend(license)}>Suspend…</button>`}
          <button class="quiet-danger" onClick=${() => revoke(license)}>Revoke…</button>`}`}>
      <${Status} of=${license.status} /><${Copy} text=${license.license_key} label="Copy key" /><//>
    <${Trouble} problem=${facts.problem} />
    <${Standing} license=${license} />
    <div class="halves">
      <${Section} title="Facts"><${Facts} of=${factsOf(license)} /><//>
      <${Seats} license=${license} poll=${seats} />
    </div>
    <${Machines} license=${license} />
    <${History} subject=${id} />`;
}

/** @param {LicenseRow} license @returns {[any, any][]} */
function factsOf(license) {
  const { customer } = license;
  const features = Object.entries(license.features ?? {});
  return [
    ["Customer", customer ? html`<a href=${to("users", customer.user_id)}>${customer.full_name || customer.email}</a> <span class="soft">${customer.email}</span>` : html`<a href=${to("users", license.user_id)}>${license.user_id}</a>`],
    ["Organisation", html`<a href=${to("orgs", license.org_id)}>${customer?.org_name ?? license.org_id}</a>`],
    ["Plan", license.plan_name || null],
    ["Paid by", license.subscription_id ? html`<a href=${to("subscriptions", "", { org_id: license.org_id })}>a subscription</a>` : "nothing: it was issued by hand"],
    ["Seats", html`<${Use} used=${license.seats_used} max=${license.max_concurrent_seats} />`],
    ["Machines", license.max_activations == null ? "no limit" : `at most ${count(license.max_activations)}`],
    ["Issued", html`<${Day} at=${license.issued_at} />`],
    ["Expires", license.expiry_date ? html`<${Day} at=${license.expiry_date} /> <span class="soft">(<${Ago} at=${license.expiry_date} />)</span>` : "never"],
    ["Features", features.length ? html`<ul class="features">${features.map(([name, value]) => html`<li><code>${name}</code> ${value === true ? "" : String(value)}</li>`)}</ul>` : null],
    ["Licence id", html`<code>${license.license_id}</code> <${Copy} text=${license.license_id} />`],
  ];
}

/** What a status other than active means, in words. @param {{ license: LicenseRow }} props */
function Standing({ license }) {
  const subscription = (/** @type {string} */ words) => html`<a href=${to("subscriptions", "", { org_id: license.org_id })}>${words}</a>`;
  if (license.status === "grace") {
    return html`<${Note} kind="warn"><p>In grace: it still works everywhere and says so. It stops <strong><${Ago} at=${license.grace_period_ends_at} /></strong>
      (<${Day} at=${license.grace_period_ends_at} />) unless it is ${license.subscription_id ? subscription("paid") : "extended"}.</p><//>`;
  }
  if (license.suspended_by === "operator") return html`<${Note} kind="bad"><p>Suspended by an operator: nobody gets a seat until it is reinstated. The history says why.</p><//>`;
  if (license.suspended_by === "payment") return html`<${Note} kind="bad"><p>Suspended for want of payment: nobody gets a seat until ${subscription("its subscription")} is paid.</p><//>`;
  if (license.status === "expired") {
    return html`<${Note} kind="bad"><p>Expired: it stopped working. ${license.subscription_id ? html`${subscription("Its subscription")} has ended.` : "Moving its end brings it back."}</p><//>`;
  }
  if (license.status === "revoked") return html`<${Note} kind="bad"><p>Revoked for good: the key works nowhere.</p><//>`;
  return null;
}

/** @param {{ license: LicenseRow, poll: import("../poll.js").Poll<any> }} props */
function Seats({ license, poll }) {
  const { data, problem } = poll;
  const columns = [
    { title: "Machine", class: "mono cut", cell: (/** @type {any} */ seat) => html`<span title=${seat.hardware_id}>${seat.hardware_id}</span>` },
    { title: "Since", cell: (/** @type {any} */ seat) => html`<${Ago} at=${seat.started_at} />` },
    { title: "Lapses", cell: (/** @type {any} */ seat) => html`<${Ago} at=${seat.expires_at} />` },
  ];
  return html`<${Section} title=${`Seats held now: ${count(data && !data.next_cursor ? data.items.length : license.seats_used)} of ${count(license.max_concurrent_seats)}`}>
    ${problem && html`<div class="inset"><${Trouble} problem=${problem} /></div>`}
    ${data && (data.items.length
      ? html`<div class="tall"><${Table} path="license-seats" columns=${columns} rows=${data.items} id=${(/** @type {any} */ seat) => seat.session_id} poll=${poll}
          rowActions=${(/** @type {any} */ seat) => html`<button onClick=${() => takeBack({ ...seat, license_id: license.license_id }, poll)}>Take back…</button>`} /></div>`
      : html`<p class="empty soft">Nobody holds a seat just now.</p>`)}<//>`;
}

/** @param {{ license: LicenseRow }} props */
function Machines({ license }) {
  const { data, problem } = usePoll(async () => {
    const page = await list(`/licenses/${license.license_id}/activations`, { limit: 200 });
    know(page.items.map((each) => [each.activation_id, each.machine_name || each.hardware_id]));
    return page;
  }, 30_000, [license.license_id]);
  const columns = [
    { title: "Machine", cell: (/** @type {any} */ each) => each.machine_name || html`<span class="mono">${each.hardware_id}</span>` },
    { title: "Hardware id", class: "mono cut", cell: (/** @type {any} */ each) => each.hardware_id },
    { title: "Platform", cell: (/** @type {any} */ each) => each.platform || html`<span class="soft">–</span>` },
    { title: "Activated", cell: (/** @type {any} */ each) => html`<${Day} at=${each.activated_at} />` },
    { title: "Last seen", cell: (/** @type {any} */ each) => html`<${Ago} at=${each.last_seen_at} />` },
  ];
  return html`<${Section} title="Activated machines">
    ${problem && html`<div class="inset"><${Trouble} problem=${problem} /></div>`}
    ${data && (data.items.length
      ? html`<${Table} path="activations" columns=${columns} rows=${data.items} id=${(/** @type {any} */ each) => each.activation_id}
          rowActions=${(/** @type {any} */ each) => html`<button onClick=${() => unbind(license, each)}>Remove</button>`} />`
      : html`<p class="empty soft">No machine was activated. Seats can be held without: an application activates to get a signed file for use offline.</p>`)}<//>`;
}
