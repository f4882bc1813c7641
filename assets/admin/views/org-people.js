// Who belongs to an organisation, and who was asked to.

import { account, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { go, to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Ago, Day, Loading, Section, Tag } from "../ui.js";
import { ROLES, may } from "./org-rights.js";

/** @typedef {import("./org-rights.js").Org} Org */

/** @param {{ org: Org }} props */
export function People({ org }) {
  return html`<${Members} org=${org} />${may(org, "org.manage") && html`<${Invitations} org=${org} />`}`;
}

/** @param {{ org: Org }} props */
function Members({ org }) {
  const { data, problem } = usePoll(() => list(`/orgs/${org.org_id}/members`, { limit: 200 }), 15_000, [org.org_id]);
  const columns = [
    { title: "E-mail", class: "cut", cell: (/** @type {any} */ each) => each.email },
    { title: "Name", class: "cut", cell: (/** @type {any} */ each) => each.full_name },
    { title: "Role", cell: (/** @type {any} */ each) => html`<${Tag} tone=${each.role === "owner" ? "accent" : ""}>${each.role}<//>` },
    ...(may(org, "org.manage") ? [{ title: "Second factor", cell: (/** @type {any} */ each) => (each.second_factor ? "yes" : html`<span class="soft">none</span>`) }] : []),
    { title: "Since", cell: (/** @type {any} */ each) => html`<${Day} at=${each.joined_at} />` },
  ];
  const own = (/** @type {any} */ each) => each.user_id === account.value?.user_id;
  return html`<${Section} title="Members">
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && html`<${Table} path="org-members" columns=${columns} rows=${data.items} id=${(/** @type {any} */ each) => each.user_id}
      href=${account.value?.operator ? (/** @type {any} */ each) => to("users", each.user_id) : undefined} rowActions=${(/** @type {any} */ each) => each.role !== "owner" && html`
        ${may(org, "org.manage") && html`<button class="plain" onClick=${() => changeRole(org, each)}>Role…</button>${" "}`}
        ${(may(org, "org.manage") || own(each)) && html`<button class="plain" onClick=${() => removeMember(org, each)}>${own(each) ? "Leave…" : "Remove…"}</button>`}`} />`}
    ${data?.next_cursor && html`<p class="empty soft">These are the first 200; <code>coditect org members</code> lists all.</p>`}<//>`;
}

/** @param {{ org: Org }} props */
function Invitations({ org }) {
  const id = org.org_id;
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

/** @param {Org} org */
export function invite(org) {
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

/** @param {Org} org @param {any} member */
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

/** @param {Org} org @param {{ user_id: string, email: string }} member */
export function removeMember(org, member) {
  const own = member.user_id === account.value?.user_id;
  return ask({
    title: own ? "Leave this organisation" : "Remove this member",
    text: own ? html`<p>You lose access to <strong>${org.name}</strong> at once; keys that you made for it open nothing any more. What you bought stays with it.</p>`
      : html`<p><strong>${member.email}</strong> loses access to ${org.name} at once; keys made for it open nothing any more. What they bought stays.</p>`,
    action: own ? "Leave" : "Remove", danger: true,
    async submit() {
      // Away from its screen first, which would ask for what one does not belong to any more.
      if (own && !account.value?.operator) go(to("orgs"), { replace: true });
      await call("DELETE", `/orgs/${org.org_id}/members/${member.user_id}`);
      toast(own ? `You do not belong to ${org.name} any more.` : `${member.email} does not belong to ${org.name} any more.`);
    },
  });
}
