// One person: who it is, the licences and subscriptions of the person's organisation, and the history.

import { account, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Ago, Copy, Day, Facts, Head, Loading, Section, Status, Trouble, Use } from "../ui.js";
import { know } from "./audit-words.js";
import { History } from "./history.js";
import { issue } from "./license-actions.js";
import { Standing } from "./users.js";

/** @typedef {import("./users.js").UserRow} UserRow */

/** @param {{ id: string }} props */
export function User({ id }) {
  const { data, problem } = usePoll(async () => {
    const user = await call("GET", `/admin/users/${id}`);
    know([[id, user.email]]);
    return user;
  }, 15_000, [id]);
  /** @type {UserRow | undefined} */
  const user = data;
  const back = { href: "#/users", title: "Users" };
  if (!user) return html`<${Head} title="User" back=${back} /><${Loading} problem=${problem} />`;
  const self = user.user_id === account.value?.user_id;
  return html`<${Head} title=${user.email} name=${user.full_name || user.email} back=${back} actions=${html`
      ${!user.deactivated_at && html`<button class="main" onClick=${() => issue({ email: user.email })}>Issue a licence</button>
        <button onClick=${() => setOperator(user, !user.operator)}>${user.operator ? "Not an operator any more…" : "Make operator…"}</button>`}
      ${!user.deactivated_at && !user.operator && html`<button onClick=${() => correctAddress(user)}>Correct the address…</button>`}
      ${!user.deactivated_at && !self && html`<button onClick=${() => signOut(user)}>Sign out everywhere…</button>`}
      ${user.second_factor_since && !self && html`<button onClick=${() => removeSecondFactor(user)}>Remove second factor…</button>`}
      ${user.deactivated_at ? html`<button onClick=${() => reactivate(user)}>Reactivate</button>`
        : !self && html`<button class="quiet-danger" onClick=${() => deactivate(user)}>Deactivate…</button>`}`}>
      <${Standing} user=${user} /><//>
    <${Trouble} problem=${problem} />
    <div class="halves">
      <${Section} title="Facts"><${Facts} of=${[
        ["E-mail", html`${user.email} <${Copy} text=${user.email} />${!user.email_verified && html` <span class="soft">not confirmed</span>`}`],
        ["Company", user.company_name],
        ["Registered", html`<${Day} at=${user.created_at} />`],
        ["Last sign-in", html`<${Ago} at=${user.last_login_at} missing="never" />`],
        ["Second factor", user.second_factor_since ? html`since <${Day} at=${user.second_factor_since} />` : html`<span class="soft">none</span>`],
        user.deactivated_at && ["Deactivated", html`<${Day} at=${user.deactivated_at} />`],
        ["User id", html`<code>${user.user_id}</code> <${Copy} text=${user.user_id} />`],
        ["Organisation", html`<a href=${to("orgs", user.org_id)}>Members and more</a>`],
        ["Organisation id", html`<code>${user.org_id}</code> <${Copy} text=${user.org_id} />`],
      ]} /><//>
      <${Subscriptions} org_id=${user.org_id} />
    </div>
    <${Licenses} org_id=${user.org_id} />
    <${History} subject=${id} />`;
}

/** @param {{ org_id: string }} props */
function Licenses({ org_id }) {
  const { data, problem } = usePoll(() => list("/admin/licenses", { org_id, limit: 20 }), 15_000, [org_id]);
  const columns = [
    { title: "Key", class: "mono", cell: (/** @type {any} */ license) => license.license_key },
    { title: "Plan", cell: (/** @type {any} */ license) => license.plan_name },
    { title: "Seats", cell: (/** @type {any} */ license) => html`<${Use} used=${license.seats_used} max=${license.max_concurrent_seats} />` },
    { title: "Status", cell: (/** @type {any} */ license) => html`<${Status} of=${license.status} />` },
    { title: "Expires", cell: (/** @type {any} */ license) => html`<${Day} at=${license.expiry_date} missing="never" />` },
  ];
  return html`<${Section} title="Licences" actions=${data?.next_cursor && html`<a href=${to("licenses", "", { org_id })}>All of them</a>`}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length
      ? html`<${Table} path="user-licenses" columns=${columns} rows=${data.items} id=${(/** @type {any} */ license) => license.license_id} href=${(/** @type {any} */ license) => to("licenses", license.license_id)} />`
      : html`<p class="empty soft">None yet.</p>`)}<//>`;
}

/** @param {{ org_id: string }} props */
function Subscriptions({ org_id }) {
  const { data, problem } = usePoll(() => list("/admin/subscriptions", { org_id, limit: 20 }), 15_000, [org_id]);
  const columns = [
    { title: "Plan", cell: (/** @type {any} */ each) => each.plan_name },
    { title: "Status", cell: (/** @type {any} */ each) => html`<${Status} of=${each.status} />` },
    { title: "Period ends", cell: (/** @type {any} */ each) => html`<${Day} at=${each.current_period_end} />` },
  ];
  return html`<${Section} title="Subscriptions" actions=${html`<a href=${to("payments", "", { org_id })}>Payments</a>`}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length
      ? html`<${Table} path="user-subscriptions" columns=${columns} rows=${data.items} id=${(/** @type {any} */ each) => each.subscription_id} href=${() => to("subscriptions", "", { org_id })} />`
      : html`<p class="empty soft">None yet.</p>`)}<//>`;
}

/** @param {UserRow} user */
function reactivate(user) {
  return attempt(() => call("POST", `/admin/users/${user.user_id}/reactivate`), { done: "The account is open again.", undo: () => call("POST", `/admin/users/${user.user_id}/deactivate`) });
}

/** @param {UserRow} user */
function removeSecondFactor(user) {
  return ask({
    title: "Remove the second factor",
    text: html`<p>For somebody who has lost the phone and the recovery codes: <strong>${user.email}</strong> signs in with the password alone
      then, and is told by mail. Make sure first that it is them who ask.</p>`,
    action: "Remove", danger: true,
    async submit() {
      await call("POST", `/admin/users/${user.user_id}/remove-second-factor`);
      toast(`${user.email} has no second factor any more.`);
    },
  });
}

/** @param {UserRow} user */
function correctAddress(user) {
  return ask({
    title: "Correct the e-mail address",
    text: html`<p>For somebody who mistyped it: whoever reads the new address gets the account of <strong>${user.email}</strong>. Make sure first that it is them who ask.</p>
      <p>A link to choose a password with is mailed there, and the old address is told. The password until now, sign-ins, API keys, linked accounts, mailed links and invitations end. Licence keys that were mailed to the old address stay good: where a stranger may have read them, revoke those licences and issue new ones.</p>`,
    fields: [{ name: "email", label: "The right address", type: "email" }],
    action: "Correct it", danger: true,
    async submit({ email }) {
      const { email: now } = await call("PUT", `/admin/users/${user.user_id}/email`, { email });
      toast(`The address is ${now} now, and a link is on its way there.`);
    },
  });
}

/** @param {UserRow} user */
function signOut(user) {
  return ask({
    title: "Sign out everywhere",
    text: html`<p>Every sign-in of <strong>${user.email}</strong> ends, in browsers and programs alike. API keys go on working.</p>`,
    action: "Sign out", danger: true,
    async submit() {
      await call("POST", `/admin/users/${user.user_id}/sign-out`);
      toast(`${user.email} is signed out everywhere.`);
    },
  });
}

/** @param {UserRow} user */
function deactivate(user) {
  return ask({
    title: "Deactivate this account",
    text: html`<p><strong>${user.email}</strong> is signed out everywhere and cannot sign in. Licences and seats go on as they are.
      The account can be reactivated${user.operator ? ", but is no operator's any more" : ""}.</p>`,
    action: "Deactivate", danger: true,
    async submit() {
      await call("POST", `/admin/users/${user.user_id}/deactivate`);
      toast("The account is closed.", { undo: () => call("POST", `/admin/users/${user.user_id}/reactivate`) });
    },
  });
}

/** @param {UserRow} user @param {boolean} operator */
function setOperator(user, operator) {
  const set = (/** @type {boolean} */ on) => call("PUT", `/admin/users/${user.user_id}/operator`, { operator: on });
  return ask({
    title: operator ? "Make this person an operator" : "Take the operator's rights away",
    text: operator
      ? html`<p><strong>${user.email}</strong> will see every organisation, issue and revoke licences, and read and restore backups.</p>`
      : html`<p><strong>${user.email}</strong> keeps the account and loses this page${user.user_id === account.value?.user_id ? html`. <strong>That is you.</strong>` : "."}</p>`,
    action: operator ? "Make operator" : "Take away", danger: !operator,
    ...(operator ? { typed: user.email } : {}),
    async submit() {
      await set(operator);
      toast(operator ? `${user.email} is an operator now.` : `${user.email} is no operator any more.`, { undo: () => set(!operator) });
    },
  });
}
