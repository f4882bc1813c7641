// The end of one's own account.

import { NO_FACTOR, Problem, account, closeAccount, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { to } from "../route.js";
import { attempt } from "../toast.js";
import { Section } from "../ui.js";

/** @typedef {import("./org-rights.js").Org} Org */

export function CloseAccount() {
  return html`<${Section} title="Close your account" actions=${html`<button class="quiet-danger" onClick=${close}>Close it…</button>`}>
    <p class="text">Nobody signs in to a closed account. Licences and subscriptions stay with their organisations.</p><//>`;
}

/** What others need first, and what nobody would look after. */
async function look() {
  /** @type {Org[]} */
  const owned = (await list("/orgs")).items.filter((org) => org.role === "owner");
  const [lone, ...found] = await Promise.all([isLoneOperator(), ...owned.map(company)]);
  const those = (/** @type {string} */ which) => owned.filter((_, index) => found[index] === which);
  return { lone, locked: those("locked"), shared: those("shared"), alone: those("alone").filter((org) => !org.personal && !org.deletion_due_at) };
}

/** Whether an organisation has other members, which it does not tell whoever lacks the second factor it asks for. @param {Org} org */
async function company(org) {
  try {
    return (await list(`/orgs/${org.org_id}/members`, { limit: 2 })).items.length > 1 ? "shared" : "alone";
  } catch (problem) {
    if (problem instanceof Problem && problem.code === NO_FACTOR) return "locked";
    throw problem;
  }
}

/** Whether nobody else runs this server; of many accounts only the server knows. */
async function isLoneOperator() {
  if (!account.value?.operator) return false;
  const { items, next_cursor } = await list("/admin/users", { limit: 200 });
  return !next_cursor && items.filter((user) => user.operator).length === 1;
}

/** @param {{ orgs: Org[] }} props */
const Links = ({ orgs }) => html`<ul>${orgs.map((org) => html`<li key=${org.org_id}><a href=${to("orgs", org.org_id)}>${org.name}</a></li>`)}</ul>`;

async function close() {
  const found = await attempt(look);
  if (!found) return;
  const { lone, locked, shared, alone } = found;
  if (lone || locked.length || shared.length) {
    await ask({
      title: "Close your account",
      text: html`${lone && html`<p>You are the only operator of this server. Make <a href=${to("users")}>somebody else</a> one first.</p>`}
        ${locked.length > 0 && html`<p>These ask for a second factor, which your account does not have: set up two-step sign-in first, and then give them to another member.</p><${Links} orgs=${locked} />`}
        ${shared.length > 0 && html`<p>You own what others belong to. Give it to one of them first, with <strong>Give away…</strong> on its screen, or remove its other members:</p><${Links} orgs=${shared} />`}`,
    });
    return;
  }
  const who = account.value;
  await ask({
    title: "Close your account",
    text: html`<p>Every sign-in of <strong>${who?.email}</strong> ends, this one as well, and none works any more. Your API keys open nothing from then on${who?.operator ? ", and you run this server no longer" : ""}.</p>
      <p>Licences go on working. <strong>Subscriptions go on and are charged</strong> until they are cancelled: cancel first what is not to go on.</p>
      ${alone.length > 0 && html`<p>These are yours alone, and nobody looks after them then. Invite somebody and give it to them, or delete it:</p><${Links} orgs=${alone} />`}
      <p>Only an operator of this server can open the account again.</p>`,
    action: "Close my account", danger: true, typed: who?.email,
    submit: closeAccount,
  });
}
