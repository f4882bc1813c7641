// What an entry of the audit log says, in words: a label for each action, what changed, and names in the place of ids.

import { count, money, moment, plain, program } from "../format.js";
import { html, signal, useState } from "../lib.js";
import { to } from "../route.js";

/**
 * @typedef {object} Entry
 * @property {number} seq its place in the log
 * @property {string} audit_id
 * @property {string} at
 * @property {string} actor `user`, `anonymous`, `system` or `local`
 * @property {string | null} user_id
 * @property {string | null} [actor_email]
 * @property {string | null} [api_key_id]
 * @property {string | null} org_id
 * @property {string} action `license.suspended`
 * @property {string} subject the record's id
 * @property {Record<string, string>} details
 * @property {Record<string, { before: string | null, after: string | null }>} changes fields, before and after
 * @property {string | null} address
 * @property {string | null} user_agent
 * @property {string | null} request_id
 * @property {string} hash
 *
 * @typedef {[string, string | null, string | null]} OneField a name, what it was, and what it is
 */

/** Who acted, where it was no person with an account. @type {Record<string, string>} */
export const ACTORS = { system: "the server itself", local: "this computer's administrator", anonymous: "somebody not signed in" };

/** Actions that do not read well as they are called. @type {Record<string, string>} */
const ACTIONS = {
  "api_key.created": "API key made", "api_key.revoked": "API key revoked",
  "audit.exported": "Audit log exported", "audit.removed": "Oldest entries removed",
  "backup.restore_asked": "Restore asked for", "backup.restore_failed": "Restore failed",
  "billing.mode_changed": "Stripe's mode changed", "billing.portal_opened": "Customer portal opened", "billing.second_subscription": "Second subscription ended",
  "checkout.started": "Payment page opened",
  "domain.lost": "Domain's record not found any more", "domain.verified": "Domain proved",
  "identity.claimed": "Account taken over by its owner", "identity.confirmation_asked": "Confirmation of a link asked for",
  "identity.linked": "Another way to sign in linked", "identity.unlinked": "Another way to sign in taken away",
  "key.created": "Signing key made", "key.master_replaced": "Master key replaced",
  "license.activated": "Licence activated on a machine", "license.deactivated": "Licence taken off a machine", "license.resent": "Licence mailed again",
  "license.resized": "Licence's seats changed",
  "mail.retried": "Mail tried again", "job.retried": "Job tried again",
  "member.invited": "Invited to join", "member.joined": "Joined", "member.left": "Left", "member.removed": "Member removed",
  "member.provisioned": "Kept by the directory", "member.unprovisioned": "No longer kept by the directory", "invitation.resent": "Invitation mailed again",
  "operator.created": "First operator made",
  "org.created": "Organisation made", "org.renamed": "Organisation renamed", "org.transferred": "Organisation given to another member",
  "org.second_factor_required": "Second factor required", "org.second_factor_optional": "Second factor made optional",
  "org.sso_set": "Single sign-on set up", "org.sso_removed": "Single sign-on removed", "org.exported": "Organisation exported",
  "org.deletion_asked": "Deletion asked for", "org.deletion_taken_back": "Deletion taken back", "org.erasing": "Erasing begun", "org.erased": "Organisation erased",
  "plan.created": "Plan made", "plan.restored": "Plan sold again", "plan.price_made": "Price made at Stripe",
  "project.created": "Project made", "project.license_added": "Licence added to a project", "project.license_removed": "Licence taken out of a project",
  "provisioning_token.created": "Directory's token made", "provisioning_token.revoked": "Directory's token revoked",
  "seat.evicted": "Seat taken back",
  "second_factor.begun": "Authenticator app begun", "second_factor.enabled": "Second factor switched on", "second_factor.disabled": "Second factor switched off",
  "second_factor.app_removed": "Authenticator app removed", "second_factor.recovery_code_used": "Recovery code used",
  "second_factor.recovery_codes_renewed": "New recovery codes made", "second_factor.refused": "Wrong code refused", "second_factor.removed": "Second factor removed by an operator",
  "subscription.change_asked": "Change asked for", "subscription.end_asked": "End asked for", "subscription.canceled": "Subscription cancelled",
  "subscription.order_overdue": "Purchase order overdue", "subscription.period_ended": "Period ended", "subscription.grace_ending": "Grace period ends soon",
  "subscription.grace_ended": "Grace period ended", "subscription.trial_ending": "Trial ends soon", "subscription.trial_ended": "Trial ended", "subscription.trial_started": "Trial started",
  "subscription.payment_failed": "Payment failed", "subscription.plan_changed": "Plan changed",
  "team.created": "Team made", "team.granted": "Licence given to a team", "team.grant_withdrawn": "Licence taken back from a team", "team.provisioned": "Team made by the directory",
  "team.member_added": "Added to a team", "team.member_changed": "Role in a team changed", "team.member_removed": "Taken out of a team",
  "user.created": "Account made", "user.registered": "Account registered", "user.updated": "Name or company changed", "user.renamed": "Renamed by the directory",
  "user.email_verified": "E-mail address confirmed", "user.address_changed": "E-mail address changed by the directory", "user.address_corrected": "E-mail address corrected by an operator", "user.verification_asked": "Link to confirm the address mailed",
  "user.reset_asked": "Link for a new password mailed", "user.password_reset": "New password set with a mailed link", "user.password_set": "First password set with a mailed link", "user.password_changed": "Password changed",
  "user.password_rehashed": "Password's hash made anew", "user.given_over": "Account given over to the owner of its address",
  "user.made_operator": "Made an operator", "user.no_operator": "Operator's rights taken away", "user.deactivated": "Account closed", "user.reactivated": "Account opened again",
  "user.signed_in": "Signed in", "user.sign_in_failed": "Sign-in failed", "user.signed_out": "Signed out", "user.signed_out_everywhere": "Signed out everywhere",
  "user.signed_out_by_operator": "Signed out everywhere by an operator", "user.token_reused": "Sign-in ended: its token was used twice",
};

/** What was done, as people say it. @param {string} action */
export function what(action) {
  const words = plain(action);
  return ACTIONS[action] ?? words[0].toUpperCase() + words.slice(1);
}

/** Fields whose names do not read well as they are. @type {Record<string, string>} */
const FIELDS = {
  full_name: "name", company_name: "company", email: "e-mail", email_verified: "e-mail confirmed", personal_org: "own organisation", org_id: "organisation",
  user: "person", user_id: "person", password_hash: "password", max_concurrent_seats: "seats", max_activations: "machines at most", plan_name: "plan",
  created_at: "made", expiry_date: "expires", current_period_end: "period ends", current_period_start: "period began", period_end: "period ends",
  seats_reserved: "seats kept", trial_duration_days: "days of trial", within_hour: "within the hour", auto_join: "who joins by it",
};
/** Fields that follow from others, or say nothing to people. */
const HIDDEN = ["password_changed_at", "short_password", "familiar"];

/** What people have written: shown as it stands, whatever it looks like. */
const FREE = ["name", "full_name", "company_name", "reason", "reference", "description", "machine_name", "hardware_id", "plan_name", "user_agent", "team", "project"];

/** @param {string} name */
function fieldName(name) {
  return FIELDS[name] ?? plain(name.replace(/_(at|id|date|cents)$/, ""));
}

/** Names of records, by their ids, as far as this page has met them, each with the entry that told it. */
const known = signal(/** @type {Map<string, { name: string, seq: number }>} */ (new Map()));

/** Whether a record's name is known here. @param {string} id */
export const isKnown = (id) => known.value.has(id);

/** Notes what records are called. @param {[string, string | null | undefined, number?][]} names ids and names; of an entry, its number */
export function know(names) {
  const next = new Map(known.value);
  for (const [id, name, seq = Infinity] of names) {
    if (name && seq >= (next.get(id)?.seq ?? 0)) next.set(id, { name, seq });
  }
  if ([...next].some(([id, { name, seq }]) => known.value.get(id)?.name !== name || known.value.get(id)?.seq !== seq)) known.value = next;
}

/** What is kept for an action, or else for its noun. @template T @param {Record<string, T>} of @param {string} action @returns {T | undefined} */
const by = (of, action) => of[action] ?? of[action.split(".")[0]];

/** Which field of an entry names its record, by the action or its noun. @type {Record<string, string>} */
const NAMED_BY = { org: "name", team: "name", project: "name", api_key: "name", plan: "plan_name", user: "email", operator: "email", invitation: "email", "member.invited": "email" };

/** Notes what entries tell of names. @param {Entry[]} entries */
export function learn(entries) {
  know(entries.flatMap(({ action, subject, user_id, actor_email, details, changes, seq }) => {
    const field = by(NAMED_BY, action) ?? "";
    return /** @type {[string, string | null | undefined, number?][]} */ ([[user_id ?? "", actor_email], [subject, details[field] ?? changes[field]?.after, seq]]);
  }));
}

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** The screens that have a page for each record, by the action, its noun or the name of a field. @type {Record<string, string>} */
const SCREENS = {
  license: "licenses", license_id: "licenses", seat: "licenses", org: "orgs", org_id: "orgs", domain: "orgs", personal_org: "orgs",
  user: "users", user_id: "users", member: "users", operator: "users", second_factor: "users", passkey: "users", identity: "users", recorded_by: "users",
  // What these are about is an invitation and an organisation.
  "member.invited": "", "identity.confirmation_asked": "orgs",
};

/** A record by its name, or by the end of its id where that is not known. @param {{ id: string, screen?: string }} props */
function Ref({ id, screen }) {
  const name = known.value.get(id)?.name;
  const shown = name ? html`<span title=${id}>${name}</span>` : html`<span class="mono" title=${id}>${id.length > 13 ? `…${id.slice(-12)}` : id}</span>`;
  return screen && ID.test(id) ? html`<a href=${to(screen, id)}>${shown}</a>` : shown;
}

/** What an entry is about. @param {{ entry: Entry }} props */
export function Subject({ entry: { action, subject } }) {
  return html`<${Ref} id=${subject} screen=${by(SCREENS, action)} />`;
}

/** A value as people read it. @param {{ entry: Entry, name: string, text: string }} props */
function Value({ entry, name, text }) {
  if (FREE.includes(name) && !ID.test(text)) return text;
  const amount = /^(-?\d+) ([A-Z]{3})$/.exec(text);
  const currency = entry.changes.currency?.after;
  // Between two people and not between two projects.
  const people = entry.action === "org.transferred" && ["from", "to"].includes(name);
  if (ID.test(text)) return html`<${Ref} id=${text} screen=${people ? "users" : SCREENS[name]} />`;
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text)) return html`<time datetime=${text} title=${text}>${moment(text)}</time>`;
  if (text === "true" || text === "false") return text === "true" ? "yes" : "no";
  if (amount) return money(Number(amount[1]), amount[2]);
  if (name.endsWith("_cents") && /^-?\d+$/.test(text)) return currency ? money(Number(text), currency) : `${text} in minor units`;
  return text.replaceAll(" -> ", " → ");
}

/**
 * A field before and after, taken apart where it is JSON: no, one or many fields.
 * @param {string} name @param {string | null} before @param {string | null} after @returns {OneField[]}
 */
function apart(name, before, after) {
  const [was, is] = FREE.includes(name) ? [null, null] : [parts(before), parts(after)];
  if (!was && !is || (before && !was) || (after && !is)) return [[name, before, after]];
  const names = [...new Set([...Object.keys(was ?? {}), ...Object.keys(is ?? {})])];
  return names.filter((each) => was?.[each] !== is?.[each]).map((each) => [`${name}.${each}`, was?.[each] ?? null, is?.[each] ?? null]);
}

/** The fields of what is written as JSON, however deep; null of everything else. @param {string | null} text @returns {Record<string, string> | null} */
function parts(text) {
  if (!text || !/^[[{]/.test(text)) return null;
  try {
    return Object.fromEntries(leaves("", JSON.parse(text)));
  } catch {
    // It was cut short, or is no JSON.
    return null;
  }
}

/** @param {string} name @param {any} value @returns {[string, string][]} */
function leaves(name, value) {
  if (value === null) return [];
  if (typeof value !== "object") return [[name, String(value)]];
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.length ? [[name, value.join(", ")]] : [];
  return Object.entries(value).flatMap(([key, each]) => leaves(name ? `${name}.${key}` : key, each));
}

/**
 * What is told at once, and what a record began with, which is for whoever asks. What is told twice is told once, and
 * what was and is before and after. @param {Entry} entry @returns {{ told: OneField[], made: OneField[] }}
 */
function fields({ subject, address, details, changes }) {
  const changed = Object.entries(changes).filter(([name]) => !HIDDEN.includes(name)).flatMap(([name, { before, after }]) => apart(name, before, after))
    .filter(([, before, after]) => (before || after) && after !== subject);
  const begins = changed.length > 2 && changed.every(([, before]) => before === null);
  const again = new Set(begins ? [] : Object.keys(changes).map(fieldName));
  const pairs = Object.keys(details).filter((name) => `${name}_before` in details).map((name) => `${name}_before`);
  const facts = Object.entries(details)
    .filter(([name, text]) => text && !(name === "address" && text === address) && !pairs.includes(name) && !again.has(fieldName(name.replace(/_before$/, ""))))
    .map(([name, text]) => /** @type {OneField} */ ([name, details[`${name}_before`] ?? null, text]));
  return begins ? { told: facts, made: changed } : { told: [...facts, ...changed], made: [] };
}

const REDACTED = "[redacted]";

/** One field: what it is, or what it was and is. @param {{ entry: Entry, field: OneField }} props */
function FieldOf({ entry, field: [path, before, after] }) {
  const name = path.split(".").pop() ?? path;
  const value = (/** @type {string | null} */ text) => (text ? html`<${Value} entry=${entry} name=${name} text=${text} />` : "nothing");
  const secret = before === REDACTED || after === REDACTED;
  const is = secret ? (!after ? "removed" : before ? "changed" : "set") : before === null ? html`<ins>${value(after)}</ins>` : html`<del>${value(before)}</del> → <ins>${value(after)}</ins>`;
  return html`<div><dt>${path.split(".").map(fieldName).join(", ")}:</dt> <dd>${is}</dd></div>`;
}

/** @param {{ entry: Entry, fields: OneField[], children?: any }} props */
function Fields({ entry, fields, children }) {
  return html`<dl class="told">${fields.map((field) => html`<${FieldOf} key=${field[0]} entry=${entry} field=${field} />`)}${children}</dl>`;
}

/** What an entry tells beside what was done and by whom. @param {{ entry: Entry, named?: boolean }} props `named`: beside its record's name */
export function Told({ entry, named = false }) {
  const { told: all, made } = fields(entry);
  const name = named && known.value.get(entry.subject)?.name;
  const told = all.filter(([, before, after]) => before !== null || after !== name);
  return html`<div class="entry">${told.length > 0 && html`<${Fields} entry=${entry} fields=${told} />`}<${Rest} entry=${entry} made=${made} /></div>`;
}

/** The rest, and the entry as it stands in the log, for whoever asks. @param {{ entry: Entry, made: OneField[] }} props */
function Rest({ entry, made }) {
  const [open, setOpen] = useState(false);
  const { seq, address, user_agent, request_id, api_key_id } = entry;
  const facts = [["from", address], ["with", user_agent && program(user_agent)], ["API key", api_key_id], ["request", request_id], ["entry", count(seq)]];
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary>${made.length ? `With ${count(made.length, "field")}` : "More"}<span class="unseen"> of entry ${seq}</span></summary>
    ${open && html`<${Fields} entry=${entry} fields=${made}>${facts.map(([name, text]) => text && html`<div key=${name}><dt>${name}:</dt> <dd>${text}</dd></div>`)}<//>
      <details><summary>As it stands in the log</summary><pre>${JSON.stringify(entry, null, 2)}</pre></details>`}</details>`;
}
