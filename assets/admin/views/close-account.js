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

/** The organisations that one owns, and which of them have other members. */
async function look() {
  /** @type {Org[]} */
  const owned = (await list("/orgs")).items.filter((org) => org.role === "owner");
  const others = await Promise.all(owned.map(hasOthers));
  return { shared: owned.filter((_, index) => others[index]), alone: owned.filter((org, index) => !others[index] && !org.personal && !org.deletion_due_at) };
}

/** @param {Org} org */
async function hasOthers(org) {
  try {
    return (await list(`/orgs/${org.org_id}/members`, { limit: 2 })).items.length > 1;
  } catch (problem) {
    // What is not shown without a second factor the server knows.
    if (problem instanceof Problem && problem.code === NO_FACTOR) return false;
    throw problem;
  }
}

/** @param {{ orgs: Org[] }} props */
const Links = ({ orgs }) => html`<ul>${orgs.map((org) => html`<li key=${org.org_id}><a href=${to("orgs", org.org_id)}>${org.name}</a></li>`)}</ul>`;

async function close() {
  const found = await attempt(look);
  if (!found) return;
  const { shared, alone } = found;
  if (shared.length) {
    await ask({
      title: "Close your account",
      text: html`<p>You own what others belong to. Give it to one of them first, with <strong>Give away…</strong> on its screen, or remove its other members:</p><${Links} orgs=${shared} />`,
    });
    return;
  }
  const who = account.value;
  await ask({
    title: "Close your account",
    text: html`<p>Every sign-in of <strong>${who?.email}</strong> ends, this one as well, and none works any more. Your API keys open nothing from then on${who?.operator ? ", and you run this server no longer" : ""}.</p>
      <p>Licences go on working. <strong>Subscriptions go on and are charged</strong> until they are cancelled: cancel first what is not to go on.</p>
      ${alone.length > 0 && html`<p>Nobody looks after these then, which are yours alone; delete them first, or give them away:</p><${Links} orgs=${alone} />`}
      <p>Only an operator of this server can open the account again.</p>`,
    action: "Close my account", danger: true, typed: who?.email,
    submit: closeAccount,
  });
}
