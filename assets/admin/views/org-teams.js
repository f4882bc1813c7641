// The teams of an organisation; with `team` in the address, one of them: who belongs to it and which licences it may use.

import { account, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { count } from "../format.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { go, place, to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Day, Empty, Loading, Section, Tag } from "../ui.js";
import { may } from "./org-rights.js";

/**
 * @typedef {import("./org-rights.js").Org} Org
 * @typedef {{ team_id: string, name: string, provisioned: boolean, created_at: string }} Team
 * @typedef {{ user_id: string, email: string, full_name: string, role: string, joined_at: string }} Member
 * @typedef {{ license_id: string, seats_reserved: number, granted_at: string }} Grant
 */

/** @type {[string, string][]} */
const TEAM_ROLES = [["member", "Member"], ["maintainer", "Maintainer: says who belongs to it, too"]];

/** @param {{ org: Org }} props */
export function Teams({ org }) {
  const path = `/orgs/${org.org_id}/teams`;
  const { data, problem } = usePoll(() => list(path, { limit: 200 }), 15_000, [org.org_id]);
  const open = data?.items.find((/** @type {Team} */ each) => each.team_id === place.value.query.team);
  if (open) return html`<${One} key=${open.team_id} org=${org} team=${open} />`;
  const manages = may(org, "teams.manage");
  const make = () => askName({
    title: "New team", action: "Make it",
    submit: (name) => call("POST", path, { name }), done: (name) => `The team ${name} is there.`,
  });
  const columns = [
    { title: "Name", class: "wide", cell: (/** @type {Team} */ each) => html`${each.name}${each.provisioned && html` <${ByDirectory} />`}` },
    { title: "Made", cell: (/** @type {Team} */ each) => html`<${Day} at=${each.created_at} />` },
  ];
  return html`<${Section} title="Teams" actions=${manages && !org.deletion_due_at && html`<button onClick=${make}>New team…</button>`}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length
      ? html`<${Table} path="org-teams" columns=${columns} rows=${data.items} id=${(/** @type {Team} */ each) => each.team_id}
          href=${(/** @type {Team} */ each) => to("orgs", org.org_id, { part: "teams", team: each.team_id })}
          rowActions=${manages && ((/** @type {Team} */ each) => !each.provisioned && html`<${Buttons} org=${org} team=${each} />`)} />`
      : html`<${Empty}><p>No teams yet. A team is people of the organisation who use the same licences, with seats that are kept for them. Its maintainers say who belongs to it.</p><//>`)}<//>`;
}

/** Of a team whose name and members the organisation's directory says. */
function ByDirectory() {
  return html`<${Tag} tone="accent">kept by the directory<//>`;
}

/** @param {{ org: Org, team: Team }} props */
function Buttons({ org, team }) {
  const path = `/orgs/${org.org_id}/teams/${team.team_id}`;
  const rename = () => askName({
    title: `Rename ${team.name}`, action: "Rename", name: team.name,
    submit: (name) => call("PATCH", path, { name }), done: (name) => `It is called ${name} now.`,
  });
  const remove = () => ask({
    title: "Delete this team",
    text: html`<p><strong>${team.name}</strong> is gone then, and no seat is kept for it. Its members stay in the organisation, and its licences what they are.</p>`,
    action: "Delete", danger: true,
    async submit() {
      // Away from its own screen first, which would ask for what is gone.
      go(to("orgs", org.org_id, { part: "teams" }), { replace: true });
      await call("DELETE", path);
      toast(`The team ${team.name} is deleted.`);
    },
  });
  return html`<button class="plain" onClick=${rename}>Rename…</button>${" "}<button class="plain" onClick=${remove}>Delete…</button>`;
}

/** One team. @param {{ org: Org, team: Team }} props */
function One({ org, team }) {
  const members = usePoll(() => list(`/orgs/${org.org_id}/teams/${team.team_id}/members`, { limit: 200 }), 15_000, [team.team_id]);
  return html`<p class="back"><a href=${to("orgs", org.org_id, { part: "teams" })}>← Teams</a></p>
    <${Members} org=${org} team=${team} poll=${members} />
    ${may(org, "licenses.read") && html`<${Grants} org=${org} team=${team} />`}`;
}

/** @param {{ org: Org, team: Team, poll: import("../poll.js").Poll<any> }} props */
function Members({ org, team, poll: { data, problem } }) {
  const path = `/orgs/${org.org_id}/teams/${team.team_id}/members`;
  const me = account.value?.user_id;
  const leads = data?.items.some((/** @type {Member} */ each) => each.user_id === me && each.role === "maintainer");
  const manages = may(org, "teams.manage") || leads;
  // Of the directory's own it alone says what they are called and who belongs to them.
  const byHand = !team.provisioned;
  const set = (/** @type {Member} */ who, /** @type {string} */ role) => call("PUT", `${path}/${who.user_id}`, { role });
  const add = async () => {
    const all = await attempt(() => list(`/orgs/${org.org_id}/members`, { limit: 200 }));
    if (!all) return;
    const there = new Set(data?.items.map((/** @type {Member} */ each) => each.user_id));
    const others = all.items.filter((each) => !there.has(each.user_id));
    if (!others.length) return toast("Everybody in the organisation belongs to it already. Invite somebody first.", { tone: "bad" });
    await ask({
      title: `Add somebody to ${team.name}`,
      fields: [
        { name: "user_id", label: "Who", type: "select", options: others.map((each) => [each.user_id, each.full_name ? `${each.full_name}, ${each.email}` : each.email]) },
        { name: "role", label: "As", type: "select", options: TEAM_ROLES },
      ],
      values: { user_id: others[0].user_id, role: "member" },
      action: "Add",
      async submit({ user_id, role }) {
        const added = await call("PUT", `${path}/${user_id}`, { role });
        toast(`${added.email} belongs to ${team.name}.`, { undo: () => call("DELETE", `${path}/${user_id}`) });
      },
    });
  };
  const turn = (/** @type {Member} */ each) => {
    const role = each.role === "maintainer" ? "member" : "maintainer";
    return attempt(() => set(each, role), { done: `${each.email} is a ${role} now.`, undo: () => set(each, each.role) });
  };
  const remove = (/** @type {Member} */ each) => attempt(() => call("DELETE", `${path}/${each.user_id}`), {
    done: `${each.email} is not in ${team.name} any more.`, undo: manages ? () => set(each, each.role) : undefined,
  });
  const columns = [
    { title: "E-mail", class: "cut", cell: (/** @type {Member} */ each) => each.email },
    { title: "Name", class: "cut", cell: (/** @type {Member} */ each) => each.full_name },
    { title: "Role", cell: (/** @type {Member} */ each) => html`<${Tag} tone=${each.role === "maintainer" ? "accent" : ""}>${each.role}<//>` },
    { title: "Since", cell: (/** @type {Member} */ each) => html`<${Day} at=${each.joined_at} />` },
  ];
  return html`<${Section} title=${team.name} actions=${byHand && html`${manages && !org.deletion_due_at && html`<button onClick=${add}>Add somebody…</button>`}
      ${may(org, "teams.manage") && html`<${Buttons} org=${org} team=${team} />`}`}>
    ${!byHand && html`<p class="text"><${ByDirectory} /> What it is called and who belongs to it is changed there.</p>`}
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length
      ? html`<${Table} path="team-members" columns=${columns} rows=${data.items} id=${(/** @type {Member} */ each) => each.user_id}
          rowActions=${(/** @type {Member} */ each) => html`${manages && html`<button class="plain" onClick=${() => turn(each)}>${each.role === "maintainer" ? "Make member" : "Make maintainer"}</button>${" "}`}
            ${byHand && (manages || each.user_id === me) && html`<button class="plain" onClick=${() => remove(each)}>${each.user_id === me ? "Leave" : "Take out"}</button>`}`} />`
      : html`<p class="empty soft">Nobody belongs to it yet.</p>`)}
    ${data?.next_cursor && html`<p class="empty soft">These are the first 200; <code>coditect org team members</code> lists all.</p>`}<//>`;
}

/** @param {{ org: Org, team: Team }} props */
function Grants({ org, team }) {
  const path = `/orgs/${org.org_id}/teams/${team.team_id}/licenses`;
  const { data, problem } = usePoll(async () => {
    const [grants, licenses] = await Promise.all([list(path, { limit: 200 }), list("/licenses", { limit: 200 }, org.org_id)]);
    return { grants: grants.items, licenses: licenses.items };
  }, 15_000, [team.team_id]);
  const known = new Map(data?.licenses.map((/** @type {any} */ each) => [each.license_id, each]));
  const manages = may(org, "teams.manage");
  const put = (/** @type {string} */ id, /** @type {number} */ seats_reserved) => call("PUT", `${path}/${id}`, { seats_reserved });
  const seats = { name: "seats_reserved", label: "Seats kept for the team", type: /** @type {const} */ ("number"), min: 0, hint: "0: none is kept; they share what is free." };
  const grant = () => {
    const others = data?.licenses.filter((/** @type {any} */ each) => !data.grants.some((/** @type {Grant} */ one) => one.license_id === each.license_id)) ?? [];
    if (!others.length) return toast(data?.licenses.length ? "The team may use every licence already." : "The organisation has no licence yet.", { tone: "bad" });
    return ask({
      title: `Let ${team.name} use a licence`,
      fields: [{ name: "license_id", label: "Licence", type: "select", options: others.map((/** @type {any} */ each) => [each.license_id, `${each.license_key}, ${count(each.max_concurrent_seats, "seat")}`]) }, seats],
      values: { license_id: others[0].license_id, seats_reserved: "0" },
      action: "Let them use it",
      async submit(values) {
        await put(values.license_id, Number(values.seats_reserved));
        toast("The team may use it.", { undo: () => call("DELETE", `${path}/${values.license_id}`) });
      },
    });
  };
  const change = (/** @type {Grant} */ each) => ask({
    title: "Seats kept for the team",
    fields: [seats],
    values: { seats_reserved: String(each.seats_reserved) },
    action: "Change",
    async submit(values) {
      await put(each.license_id, Number(values.seats_reserved));
      toast(`${count(Number(values.seats_reserved), "seat")} kept for ${team.name}.`, { undo: () => put(each.license_id, each.seats_reserved) });
    },
  });
  const withdraw = (/** @type {Grant} */ each) => attempt(() => call("DELETE", `${path}/${each.license_id}`), {
    done: "The team may not use it any more.", undo: () => put(each.license_id, each.seats_reserved),
  });
  const columns = [
    { title: "Licence", class: "mono", cell: (/** @type {Grant} */ each) => known.get(each.license_id)?.license_key ?? each.license_id },
    { title: "Plan", cell: (/** @type {Grant} */ each) => known.get(each.license_id)?.plan_name || html`<span class="soft">–</span>` },
    { title: "Seats kept", cell: (/** @type {Grant} */ each) => `${count(each.seats_reserved)} of ${count(known.get(each.license_id)?.max_concurrent_seats ?? 0)}` },
    { title: "Since", cell: (/** @type {Grant} */ each) => html`<${Day} at=${each.granted_at} />` },
  ];
  return html`<${Section} title="Licences that it may use" actions=${manages && !org.deletion_due_at && data && html`<button onClick=${grant}>Add a licence…</button>`}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.grants.length
      ? html`<${Table} path="team-licenses" columns=${columns} rows=${data.grants} id=${(/** @type {Grant} */ each) => each.license_id}
          href=${account.value?.operator ? (/** @type {Grant} */ each) => to("licenses", each.license_id) : undefined}
          rowActions=${manages && ((/** @type {Grant} */ each) => html`<button class="plain" onClick=${() => change(each)}>Seats…</button>${" "}<button class="plain" onClick=${() => withdraw(each)}>Take back</button>`)} />`
      : html`<p class="empty soft">None yet. Seats of a licence can be kept for the team, no more than the licence has beside those of other teams.</p>`)}<//>`;
}

/**
 * Asks for a name.
 * @param {{ title: string, action: string, name?: string, submit: (name: string) => Promise<any>, done: (name: string) => string }} what
 */
export function askName({ title, action, name = "", submit, done }) {
  return ask({
    title,
    fields: [{ name: "name", label: "Name" }],
    values: { name },
    action,
    async submit(values) {
      const made = await submit(values.name);
      toast(done(made.name), { undo: name ? () => submit(name) : undefined });
    },
  });
}
