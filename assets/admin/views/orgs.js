// Organisations: whom licences belong to; the list, and behind `#/orgs/ID` one of them.

import { html } from "../lib.js";
import { List } from "../list.js";
import { to } from "../route.js";
import { Day, Tag } from "../ui.js";
import { Org } from "./org.js";

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Name", class: "wide", cell: (org) => html`${org.name}${org.deletion_due_at && html` <${Tag} tone="warn">to be deleted<//>`}`, csv: (org) => org.name },
  { title: "Kind", cell: (org) => (org.personal ? html`<span class="soft">of one person</span>` : "organisation"), csv: (org) => (org.personal ? "personal" : "organisation") },
  { title: "Made", cell: (org) => html`<${Day} at=${org.created_at} />`, csv: (org) => org.created_at },
  { title: "Organisation id", class: "mono soft", cell: (org) => org.org_id },
];

/** @param {{ id: string }} props */
export default function Orgs({ id }) {
  if (id) return html`<${Org} id=${id} />`;
  return html`<${List} title="Organisations" path="/admin/orgs" columns=${COLUMNS} id=${(/** @type {any} */ org) => org.org_id}
    href=${(/** @type {any} */ org) => to("orgs", org.org_id)} search="Name" everyMs=${15_000}
    rowActions=${(/** @type {any} */ org) => html`<a href=${to("licenses", "", { org_id: org.org_id })}>Licences</a> <a href=${to("subscriptions", "", { org_id: org.org_id })}>Subscriptions</a>`}
    empty=${html`<p>There is no organisation yet. Everyone who registers gets one of their own.</p>`} />`;
}
