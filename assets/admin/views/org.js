// One organisation: who belongs to it, who was asked to, its teams and domains, and the end of it. Operators
// act as its owner.

import { call, download, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Ago, Copy, Day, Facts, Head, Loading, Note, Section, Tag, Trouble } from "../ui.js";
import { History } from "./history.js";
import { issue } from "./license-actions.js";

/** @type {[string, string][]} */
const ROLES = [["admin", "Admin: everything but ownership"], ["billing", "Billing: the money alone"], ["member", "Member: licences to use"]];

/** @param {{ id: string }} props */
export function Org({ id }) {
  const { data: org, problem } = usePoll(() => call("GET", `/admin/orgs/${id}`), 15_000, [id]);
  const back = { href: "#/orgs", title: "Organisations" };
  if (!org) return html`<${Head} title="Organisation" back=${back} /><${Loading} problem=${problem} />`;
  const facts = html`<${Section} title="Facts"><${Facts} of=${[
    ["Kind", org.personal ? "of one person" : "organisation"],
    ["Made", html`<${Day} at=${org.created_at} />`],
    !org.erased_at && ["Second factor", org.require_second_factor ? "required of its members" : html`<span class="soft">not required</span>`],
    org.erased_at && ["Erased", html`<${Day} at=${org.erased_at} />`],
    ["Organisation id", html`<code>${org.org_id}</code> <${Copy} text=${org.org_id} />`],
    ["What it has", html`${!org.erased_at && html`<a href=${to("licenses", "", { org_id: id })}>Licences</a>, <a href=${to("subscriptions", "", { org_id: id })}>subscriptions</a>, `}
      <a href=${to("payments", "", { org_id: id })}>payments</a>, <a href=${to("invoices", "", { org_id: id })}>invoices</a>`],
  ]} /><//>`;
  if (org.erased_at) {
    return html`<${Head} title=${org.name} back=${back}><${Tag} tone="bad">erased<//><//>
      <${Note}><p>This organisation was deleted. Its payments and invoices stay, as bookkeeping demands.</p><//>${facts}<${History} subject=${id} />`;
  }
  return html`<${Head} title=${org.name} back=${back} actions=${html`
      ${!org.deletion_due_at && html`<button class="main" onClick=${() => invite(org)}>Invite…</button><button onClick=${() => issue({ org_id: id })}>Issue a licence</button>`}
      <button onClick=${() => requireSecondFactor(org)}>${org.require_second_factor ? "Second factor optional…" : "Require a second factor…"}</button>
      <button onClick=${() => attempt(() => download(`/orgs/${id}/export`, `organisation-${id}.jsonl`))}>Export</button>
      ${org.deletion_due_at ? html`<button class="main" onClick=${() => restore(org)}>Keep it</button>`
        : !org.personal && html`<button class="quiet-danger" onClick=${() => remove(org)}>Delete…</button>`}`}>
      ${org.deletion_due_at && html`<${Tag} tone="warn">to be deleted<//>`}<//>
    <${Trouble} problem=${problem} />
    ${org.deletion_due_at && html`<${Note} kind="warn"><p>It is erased after <${Day} at=${org.deletion_due_at} />. Until then its licences work, and nothing is added to it.</p><//>`}
    <div class="halves">${facts}<${Teams} id=${id} /></div>
    <${Members} org=${org} />
    <${Invitations} id=${id} />
    <${Domains} id=${id} />
    <${History} subject=${id} />`;
}

/** @param {{ org: any }} props */
function Members({ org }) {
  const { data, problem } = usePoll(() => list(`/orgs/${org.org_id}/members`, { limit: 200 }), 15_000, [org.org_id]);
  const columns = [
    { title: "E-mail", class: "cut", cell: (/** @type {any} */ each) => each.email },
    { title: "Name", class: "cut", cell: (/** @type {any} */ each) => each.full_name },
    { title: "Role", cell: (/** @type {any} */ each) => html`<${Tag} tone=${each.role === "owner" ? "accent" : ""}>${each.role}<//>` },
    { title: "Second factor", cell: (/** @type {any} */ each) => (each.second_factor ? "yes" : html`<span class="soft">none</span>`) },
    { title: "Since", cell: (/** @type {any} */ each) => html`<${Day} at=${each.joined_at} />` },
  ];
  return html`<${Section} title="Members">
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && html`<${Table} path="org-members" columns=${columns} rows=${data.items} id=${(/** @type {any} */ each) => each.user_id}
      href=${(/** @type {any} */ each) => to("users", each.user_id)} rowActions=${(/** @type {any} */ each) => each.role !== "owner" && html`
        <button class="plain" onClick=${() => changeRole(org, each)}>Role…</button>${" "}<button class="plain" onClick=${() => removeMember(org, each)}>Remove…</button>`} />`}
    ${data?.next_cursor && html`<p class="soft">These are the first 200; <code>coditect org members</code> lists all.</p>`}<//>`;
}

/** @param {{ id: string }} props */
function Invitations({ id }) {
  const { data, problem } = usePoll(() => list(`/orgs/${id}/invitations`), 15_000, [id]);
  const columns = [
    { title: "E-mail", class: "cut", cell: (/** @type {any} */ each) => each.email },
    { title: "Role", cell: (/** @type {any} */ each) => each.role },
    { title: "Sent", cell: (/** @type {any} */ each) => html`<${Ago} at=${each.sent_at} />` },
    { title: "Works until", cell: (/** @type {any} */ each) => html`<${Day} at=${each.expires_at} />` },
  ];
  const path = (/** @type {any} */ each) => `/orgs/${id}/invitations/${each.invitation_id}`;
  return html`<${Section} title="Open invitations">
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length
      ? html`<${Table} path="org-invitations" columns=${columns} rows=${data.items} id=${(/** @type {any} */ each) => each.invitation_id} rowActions=${(/** @type {any} */ each) => html`
          <button class="plain" onClick=${() => attempt(() => call("POST", `${path(each)}/resend`), { done: `Another mail is on its way to ${each.email}.` })}>Send again</button>${" "}
          <button class="plain" onClick=${() => attempt(() => call("DELETE", path(each)), { done: "The link works no longer." })}>Revoke</button>`} />`
      : html`<p class="empty soft">Nobody was asked who has not answered.</p>`)}<//>`;
}

/** @param {{ id: string }} props */
function Teams({ id }) {
  const { data, problem } = usePoll(() => list(`/orgs/${id}/teams`, { limit: 200 }), 15_000, [id]);
  return html`<${Section} title="Teams">
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length ? html`<ul>${data.items.map((/** @type {any} */ team) => html`<li key=${team.team_id}>${team.name}</li>`)}</ul>`
      : html`<p class="empty soft">None.</p>`)}<//>`;
}

/** @param {{ id: string }} props */
function Domains({ id }) {
  const { data, problem } = usePoll(() => list(`/orgs/${id}/domains`), 15_000, [id]);
  if (data && !data.items.length) return null;
  const columns = [
    { title: "Domain", cell: (/** @type {any} */ each) => each.domain },
    { title: "Proved", cell: (/** @type {any} */ each) => (each.verified_at ? html`<${Day} at=${each.verified_at} />${each.verified_by_hand ? " by hand" : ""}` : html`<span class="soft">not yet</span>`) },
    { title: "People join", cell: (/** @type {any} */ each) => (each.auto_join === "off" ? html`<span class="soft">no</span>` : `as ${each.auto_join}`) },
    { title: "Record", class: "mono soft cut", cell: (/** @type {any} */ each) => each.record_value },
  ];
  return html`<${Section} title="Domains">
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && html`<${Table} path="org-domains" columns=${columns} rows=${data.items} id=${(/** @type {any} */ each) => each.domain}
      rowActions=${(/** @type {any} */ each) => !each.verified_at && html`<button class="plain" onClick=${() => confirmDomain(id, each)}>Confirm by hand…</button>`} />`}<//>`;
}

/** @param {any} org */
function invite(org) {
  return ask({
    title: `Invite somebody to ${org.name}`,
    text: html`<p class="soft">The link in the mail works for seven days, for this address alone.</p>`,
    fields: [{ name: "email", label: "E-mail", type: "email" }, { name: "role", label: "Role", type: "select", options: ROLES }],
    values: { role: "member" },
    action: "Invite",
    async submit({ email, role }) {
      const made = await call("POST", `/orgs/${org.org_id}/invitations`, { email, role });
      toast(`${made.email} is asked to join.`);
    },
  });
}

/** @param {any} org @param {any} member */
function changeRole(org, member) {
  const set = (/** @type {string} */ role) => call("PATCH", `/orgs/${org.org_id}/members/${member.user_id}`, { role });
  return ask({
    title: `What ${member.email} is`,
    fields: [{ name: "role", label: "Role", type: "select", options: ROLES }],
    values: { role: member.role },
    action: "Change",
    async submit({ role }) {
      await set(role);
      toast(`${member.email} is ${role} now.`, { undo: () => set(member.role) });
    },
  });
}

/** @param {any} org @param {any} member */
function removeMember(org, member) {
  return ask({
    title: "Remove this member",
    text: html`<p><strong>${member.email}</strong> loses access to ${org.name} at once; keys made for it open nothing any more. What they bought stays.</p>`,
    action: "Remove", danger: true,
    async submit() {
      await call("DELETE", `/orgs/${org.org_id}/members/${member.user_id}`);
      toast(`${member.email} does not belong to ${org.name} any more.`);
    },
  });
}

/** @param {any} org */
function requireSecondFactor(org) {
  const on = !org.require_second_factor;
  const set = (/** @type {boolean} */ required) => call("PATCH", `/orgs/${org.org_id}`, { require_second_factor: required });
  return ask({
    title: on ? "Require a second factor" : "No longer require a second factor",
    text: on ? html`<p>Members of <strong>${org.name}</strong> without one are refused until they set it up; the list of members shows who that is. Seats and API keys are not concerned.</p>`
      : html`<p>Members of <strong>${org.name}</strong> act for it with their password alone then.</p>`,
    action: on ? "Require it" : "Make it optional",
    async submit() {
      await set(on);
      toast(on ? "A second factor is required." : "A second factor is optional.", { undo: () => set(!on) });
    },
  });
}

/** @param {any} org */
function remove(org) {
  return ask({
    title: "Delete this organisation",
    text: html`<p><strong>${org.name}</strong> is erased after a time in which that can be taken back: licences, machines, subscriptions, members.
      Until then its licences work. Payments and invoices stay. Owner and admins are told by mail.</p>`,
    action: "Have it deleted", danger: true, typed: org.name,
    async submit() {
      await call("DELETE", `/orgs/${org.org_id}`, { name: org.name });
      toast(`${org.name} is to be deleted.`, { undo: () => call("POST", `/orgs/${org.org_id}/restore`) });
    },
  });
}

/** @param {any} org */
function restore(org) {
  return attempt(() => call("POST", `/orgs/${org.org_id}/restore`), { done: `${org.name} stays.` });
}

/** @param {string} id @param {any} domain */
function confirmDomain(id, domain) {
  return ask({
    title: `Confirm ${domain.domain}`,
    text: html`<p>For a domain that you know to be this organisation's. Nobody looks for its record <code>${domain.record_name}</code> then.</p>`,
    action: "Confirm",
    async submit() {
      await call("POST", `/admin/orgs/${id}/domains/${domain.domain}/verify`);
      toast(`${domain.domain} is confirmed.`);
    },
  });
}
