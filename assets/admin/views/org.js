// One organisation, in parts: who belongs to it, its teams and projects, how its people sign in, and the end of it.
// Operators act as its owner.

import { NO_FACTOR, Problem, account, call, download, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { usePoll } from "../poll.js";
import { place, to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Copy, Day, Facts, Head, Loading, Note, Section, Tag, Trouble } from "../ui.js";
import { know } from "./audit-words.js";
import { History } from "./history.js";
import { issue } from "./license-actions.js";
import { Domains } from "./org-domains.js";
import { People, invite, removeMember } from "./org-people.js";
import { Projects } from "./org-projects.js";
import { Provisioning } from "./org-provisioning.js";
import { may } from "./org-rights.js";
import { SingleSignOn } from "./org-sso.js";
import { Teams, askName } from "./org-teams.js";
import { transfer } from "./org-transfer.js";

/** @typedef {import("./org-rights.js").Org} OrgRow */

/** Its parts, as the address names them. @type {{ part: string, title: string, view: any, shown: (org: OrgRow) => boolean }[]} */
const PARTS = [
  { part: "", title: "People", view: People, shown: () => true },
  { part: "teams", title: "Teams", view: Teams, shown: () => true },
  { part: "projects", title: "Projects", view: Projects, shown: () => true },
  { part: "access", title: "Sign-in", view: Access, shown: (org) => may(org, "org.manage") },
  { part: "history", title: "History", view: Past, shown: () => account.value?.operator === true },
];

/** @param {{ id: string }} props */
export function Org({ id }) {
  const operator = account.value?.operator === true;
  const { data, problem } = usePoll(() => look(id, operator), 15_000, [id]);
  const org = data?.org;
  const back = { href: "#/orgs", title: operator ? "Organisations" : "Your organisations" };
  if (!org) return html`<${Head} title="Organisation" back=${back} /><${Loading} problem=${problem} />`;
  const facts = html`<${Section} title="Facts"><${Facts} of=${[
    ["Kind", org.personal ? "of one person" : "organisation"],
    org.role && ["You are", org.role],
    ["Made", html`<${Day} at=${org.created_at} />`],
    !org.erased_at && ["Second factor", org.require_second_factor ? "required of its members" : html`<span class="soft">not required</span>`],
    org.erased_at && ["Erased", html`<${Day} at=${org.erased_at} />`],
    ["Organisation id", html`<code>${org.org_id}</code> <${Copy} text=${org.org_id} />`],
    operator && ["What it has", html`${!org.erased_at && html`<a href=${to("licenses", "", { org_id: id })}>Licences</a>, <a href=${to("subscriptions", "", { org_id: id })}>subscriptions</a>, `}
      <a href=${to("payments", "", { org_id: id })}>payments</a>, <a href=${to("invoices", "", { org_id: id })}>invoices</a>`],
  ]} /><//>`;
  if (org.erased_at) {
    return html`<${Head} title=${org.name} back=${back}><${Tag} tone="bad">erased<//><//>
      <${Note}><p>This organisation was deleted. Its payments and invoices stay, as bookkeeping demands.</p><//>${facts}<${History} subject=${id} />`;
  }
  if (data?.refused) {
    return html`<${Head} title=${org.name} back=${back} actions=${data.leave && html`<button class="quiet-danger" onClick=${data.leave}>Leave…</button>`} />
      <${Trouble} problem=${data.refused} />${facts}${operator && html`<${History} subject=${id} />`}`;
  }
  const shown = PARTS.filter((each) => each.shown(org));
  const here = shown.find((each) => each.part === (place.value.query.part ?? "")) ?? shown[0];
  return html`<${Head} title=${org.name} back=${back} actions=${here.part === "" && html`<${Actions} org=${org} operator=${operator} />`}>
      ${org.deletion_due_at && html`<${Tag} tone="warn">to be deleted<//>`}<//>
    <${Trouble} problem=${problem} />
    ${org.deletion_due_at && html`<${Note} kind="warn"><p>It is erased after <${Day} at=${org.deletion_due_at} />. Until then its licences work, and nothing is added to it.</p><//>`}
    <nav class="parts" aria-label="Parts of this organisation">${shown.map((each) => html`<a key=${each.part} href=${to("orgs", id, { part: each.part })}
      aria-current=${each === here ? "page" : undefined}>${each.title}</a>`)}</nav>
    ${here.part === "" && facts}
    <${here.view} key=${here.part} org=${org} />`;
}

/**
 * The organisation; of one that asks for a second factor that the person does not have, what they are told all the same.
 * @param {string} id @param {boolean} operator
 * @returns {Promise<{ org: OrgRow, refused?: Problem, leave?: () => void }>} `leave` where one may
 */
async function look(id, operator) {
  /** @type {OrgRow | undefined} */
  const known = operator ? await call("GET", `/admin/orgs/${id}`) : undefined;
  if (known && (known.erased_at || !known.require_second_factor)) return { org: known };
  try {
    const org = await call("GET", `/orgs/${id}`);
    return { org: known ?? org };
  } catch (refused) {
    if (!(refused instanceof Problem) || refused.code !== NO_FACTOR) throw refused;
    /** @type {OrgRow | undefined} */
    const mine = (await call("GET", "/orgs")).items.find((/** @type {OrgRow} */ each) => each.org_id === id);
    const [org, who] = [known ?? mine, account.value];
    if (!org) throw refused;
    const may = mine && mine.role !== "owner" && who;
    return { org, refused, leave: may ? () => removeMember(org, who) : undefined };
  }
}

/** How people come in by themselves. @param {{ org: OrgRow }} props */
function Access({ org }) {
  return html`<${SingleSignOn} org=${org} /><${Provisioning} org=${org} /><${Domains} org=${org} />`;
}

/** What was done to it; its members are known by their addresses there. @param {{ org: OrgRow }} props */
function Past({ org }) {
  usePoll(async () => know((await list(`/orgs/${org.org_id}/members`, { limit: 200 })).items.map((each) => [each.user_id, each.email])), 0, [org.org_id]);
  return html`<${History} subject=${org.org_id} />`;
}

/** @param {{ org: OrgRow, operator: boolean }} props */
function Actions({ org, operator }) {
  const { org_id: id, deletion_due_at: leaving } = org;
  return html`
    ${!leaving && may(org, "org.manage") && html`<button class="main" onClick=${() => invite(org)}>Invite…</button>`}
    ${!leaving && operator && html`<button onClick=${() => issue({ org_id: id })}>Issue a licence</button>`}
    ${may(org, "org.manage") && html`<button onClick=${() => rename(org)}>Rename…</button>
      <button onClick=${() => requireSecondFactor(org)}>${org.require_second_factor ? "Second factor optional…" : "Require a second factor…"}</button>`}
    ${may(org, "org.own") && html`${!leaving && html`<button onClick=${() => transfer(org)}>Give away…</button>`}
      <button onClick=${() => attempt(() => download(`/orgs/${id}/export`, `organisation-${id}.jsonl`))}>Export</button>
      ${leaving ? html`<button class="main" onClick=${() => restore(org)}>Keep it</button>`
        : !org.personal && html`<button class="quiet-danger" onClick=${() => remove(org)}>Delete…</button>`}`}`;
}

/** @param {OrgRow} org */
function rename(org) {
  return askName({
    title: `Rename ${org.name}`, action: "Rename", name: org.name,
    submit: (name) => call("PATCH", `/orgs/${org.org_id}`, { name }), done: (name) => `It is called ${name} now.`,
  });
}

/** @param {OrgRow} org */
function requireSecondFactor(org) {
  const on = !org.require_second_factor;
  const set = (/** @type {boolean} */ required) => call("PATCH", `/orgs/${org.org_id}`, { require_second_factor: required });
  return ask({
    title: on ? "Require a second factor" : "No longer require a second factor",
    text: on ? html`<p>Members of <strong>${org.name}</strong> without one are told by mail, and are refused until they set it up; the list of members shows who that is. Seats and API keys are not concerned.</p>`
      : html`<p>Members of <strong>${org.name}</strong> act for it with their password alone then.</p>`,
    action: on ? "Require it" : "Make it optional",
    async submit() {
      await set(on);
      toast(on ? "A second factor is required." : "A second factor is optional.", { undo: () => set(!on) });
    },
  });
}

/** @param {OrgRow} org */
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

/** @param {OrgRow} org */
function restore(org) {
  return attempt(() => call("POST", `/orgs/${org.org_id}/restore`), { done: `${org.name} stays.` });
}
