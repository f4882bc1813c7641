// Organisations: whom licences belong to.

import { html } from "../lib.js";
import { List } from "../list.js";
import { to } from "../route.js";
import { Day } from "../ui.js";

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Name", class: "wide", cell: (org) => org.name },
  { title: "Kind", cell: (org) => (org.personal ? html`<span class="soft">of one person</span>` : "organisation"), csv: (org) => (org.personal ? "personal" : "organisation") },
  { title: "Made", cell: (org) => html`<${Day} at=${org.created_at} />`, csv: (org) => org.created_at },
  { title: "Organisation id", class: "mono soft", cell: (org) => org.org_id },
];

export default function Orgs() {
  return html`<${List} title="Organisations" path="/admin/orgs" columns=${COLUMNS} id=${(/** @type {any} */ org) => org.org_id}
    href=${(/** @type {any} */ org) => to("licenses", "", { org_id: org.org_id })} search="Name" everyMs=${15_000}
    rowActions=${(/** @type {any} */ org) => html`<a href=${to("subscriptions", "", { org_id: org.org_id })}>Subscriptions</a>`}
    empty=${html`<p>There is no organisation yet. Everyone who registers gets one of their own.</p>`} />`;
}
