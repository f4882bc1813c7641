// What an operator does to a licence. Whatever can be taken back is done at once and offers that;
// the rest says what it will do and asks.

import { Problem, call, download, list } from "../api.js";
import { ask } from "../dialog.js";
import { count, day } from "../format.js";
import { html } from "../lib.js";
import { go, to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { invalid } from "./refuse.js";

/** @typedef {import("./licenses.js").LicenseRow} LicenseRow */

/** The end of a day, as the API takes it. @param {string} date `2026-11-30`, or nothing */
const endOf = (date) => (date ? `${date}T23:59:59Z` : null);
/** @param {LicenseRow} license @param {string} act @param {unknown} [body] */
const post = (license, act, body) => call("POST", `/admin/licenses/${license.license_id}/${act}`, body);

/** @param {LicenseRow} license */
export function suspend(license) {
  return ask({
    title: "Suspend this licence",
    text: html`<p>Applications that hold one of its ${count(license.seats_used, "seat")} are told at their next heartbeat and nobody gets a new one.
      Its owner is mailed. It can be reinstated at any time; no payment lifts it.</p>`,
    fields: [{ name: "reason", label: "Reason", type: "area", optional: true, hint: "Its owner reads this in the mail."}],
    action: "Suspend",
    async submit({ reason }) {
      await post(license, "suspend", reason ? { reason } : {});
      toast("The licence is suspended.", { undo: () => post(license, "reinstate") });
    },
  });
}

/** @param {LicenseRow} license */
export function reinstate(license) {
  return attempt(() => post(license, "reinstate"), { done: "The licence is reinstated.", undo: () => post(license, "suspend", {}) });
}

/** @param {LicenseRow} license */
export function revoke(license) {
  return ask({
    title: "Revoke this licence for good",
    text: html`<p>The key stops working everywhere and nothing brings it back: its customer would need a new licence.
      ${license.seats_used > 0 && html` <strong>${count(license.seats_used, "seat is", "seats are")} in use just now.</strong>`}</p>
      <p>To stop it for a while, suspend it instead.</p>`,
    action: "Revoke", danger: true, typed: license.license_key.split("-").pop(),
    async submit() {
      await post(license, "revoke");
      toast("The licence is revoked.");
    },
  });
}

/** @param {LicenseRow} license */
export function extend(license) {
  return ask({
    title: "Move the end of this licence",
    fields: [{ name: "expiry_date", label: "Works until the end of", type: "date", optional: true, hint: "In UTC. Empty: without end." }],
    values: { expiry_date: day(license.expiry_date) },
    action: "Save",
    async submit({ expiry_date }) {
      await post(license, "extend", { expiry_date: endOf(expiry_date) });
      toast(expiry_date ? `The licence works until ${expiry_date}.` : "The licence works without end.",
        { undo: () => post(license, "extend", { expiry_date: license.expiry_date }) });
    },
  });
}

/** @param {LicenseRow} license */
export function resize(license) {
  return ask({
    title: "Change the number of seats",
    text: html`<p>With fewer than the ${count(license.seats_used)} in use, holders finish and nobody is admitted until there is room.</p>`,
    fields: [{ name: "max_concurrent_seats", label: "Seats at once", type: "number", min: 1, max: 1_000_000 }],
    values: { max_concurrent_seats: String(license.max_concurrent_seats) },
    action: "Save",
    async submit({ max_concurrent_seats }) {
      await post(license, "resize", { max_concurrent_seats: Number(max_concurrent_seats) });
      toast(`The licence has ${count(Number(max_concurrent_seats), "seat")} now.`,
        { undo: () => post(license, "resize", { max_concurrent_seats: license.max_concurrent_seats }) });
    },
  });
}

/** @param {LicenseRow} license */
export function resend(license) {
  const who = license.customer?.email ?? "its owner";
  return ask({
    title: "Mail the licence again",
    text: html`<p>The key and the signed file go to <strong>${who}</strong> once more.</p>`,
    action: "Send",
    async submit() {
      await post(license, "resend");
      toast(html`The mail to ${who} is on its way. <a href="#/emails">E-mails</a>`);
    },
  });
}

/** @param {LicenseRow} license */
export function saveFile(license) {
  return attempt(() => download(`/licenses/${license.license_id}/file`, `${license.license_key}.lic`));
}

/** Issues a new one. @param {{ org_id?: string, email?: string }} [whose] */
export async function issue({ org_id, email } = {}) {
  /** @type {any[] | undefined} */
  const plans = await attempt(async () => (await list("/admin/plans", { limit: 200 })).items.filter((plan) => !plan.archived_at));
  if (!plans) return;
  const seatsOf = (/** @type {string} */ id) => plans.find((plan) => plan.plan_id === id)?.max_concurrent_seats ?? "";
  const activationsOf = (/** @type {string} */ id) => plans.find((plan) => plan.plan_id === id)?.max_activations ?? "";
  const first = plans[0]?.plan_id ?? "";
  const made = await ask({
    title: "Issue a licence",
    text: org_id && html`<p>For the organisation <code>${org_id}</code>.</p>`,
    fields: [
      ...(org_id ? [] : [/** @type {const} */ ({ name: "email", label: "Customer's e-mail address", type: "email", hint: "Of an account. The licence is mailed there." })]),
      { name: "plan_id", label: "Plan", type: "select", options: [...plans.map((plan) => /** @type {[string, string]} */ ([plan.plan_id, plan.plan_name])), ["", "No plan"]] },
      { name: "max_concurrent_seats", label: "Seats at once", type: "number", min: 1, max: 1_000_000 },
      { name: "max_activations", label: "Machines", type: "number", min: 1, optional: true, hint: "Empty: no limit." },
      { name: "expiry_date", label: "Works until the end of", type: "date", optional: true, hint: "Empty: without end." },
    ],
    values: { email: email ?? "", plan_id: first, max_concurrent_seats: String(seatsOf(first)), max_activations: String(activationsOf(first)) },
    change: (values, name) => (name === "plan_id" && values.plan_id
      ? { ...values, max_concurrent_seats: String(seatsOf(values.plan_id)), max_activations: String(activationsOf(values.plan_id)) } : values),
    action: "Issue",
    async submit({ email: whom, plan_id, max_concurrent_seats, max_activations, expiry_date }) {
      try {
        return await call("POST", "/admin/licenses", {
          ...(org_id ? { org_id } : { email: whom.trim() }),
          ...(plan_id ? { plan_id } : {}),
          max_concurrent_seats: Number(max_concurrent_seats),
          ...(max_activations ? { max_activations: Number(max_activations) } : {}),
          ...(expiry_date ? { expiry_date: endOf(expiry_date) } : {}),
        });
      } catch (error) {
        if (org_id || !(error instanceof Problem) || error.status !== 404) throw error;
        throw invalid("email", "Nobody with this address has an account. Make one under Users, or let the customer register.");
      }
    },
  });
  if (!made) return;
  toast("The licence is issued and on its way by mail.");
  go(to("licenses", made.license_id));
}

/** @param {LicenseRow} license @param {{ activation_id: string, hardware_id: string, machine_name: string | null }} activation */
export function unbind(license, activation) {
  return ask({
    title: "Remove this machine",
    text: html`<p><strong class="mono">${activation.machine_name || activation.hardware_id}</strong> is unbound from the licence and makes room for another.
      Its signed file stays readable on the machine until it expires; it can activate again.</p>`,
    action: "Remove", danger: true,
    async submit() {
      try {
        await call("DELETE", `/licenses/${license.license_id}/activations/${activation.activation_id}`);
      } catch (error) {
        // Someone else was quicker: it is gone, as was wanted.
        if (!(error instanceof Problem) || error.status !== 404) throw error;
      }
      toast("The machine is removed.");
    },
  });
}
