// The catalogue: what customers can choose, with seats, prices and trial.

import { call } from "../api.js";
import { ask } from "../dialog.js";
import { amount, cents, count } from "../format.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { toast } from "../toast.js";
import { Money, Tag } from "../ui.js";
import { invalid } from "./refuse.js";

/**
 * @typedef {object} Plan
 * @property {string} plan_id
 * @property {string} plan_name
 * @property {string} description
 * @property {number} max_concurrent_seats
 * @property {number | null} max_activations
 * @property {number} monthly_price_cents
 * @property {number | null} yearly_price_cents
 * @property {number} position
 * @property {string | null} stripe_monthly_price_id
 * @property {string | null} stripe_yearly_price_id
 * @property {string} currency
 * @property {number} trial_duration_days
 * @property {Record<string, boolean | number | string>} features
 * @property {boolean} public
 * @property {string | null} archived_at
 */

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Plan", class: "wide", cell: (/** @type {Plan} */ plan) => plan.plan_name },
  { title: "Seats", class: "number", cell: (plan) => count(plan.max_concurrent_seats), csv: (plan) => plan.max_concurrent_seats },
  { title: "Machines", class: "number", cell: (plan) => (plan.max_activations == null ? html`<span class="soft">no limit</span>` : count(plan.max_activations)), csv: (plan) => plan.max_activations },
  { title: "A month", class: "number", cell: (plan) => html`<${Money} cents=${plan.monthly_price_cents} currency=${plan.currency} />`, csv: (plan) => amount(plan.monthly_price_cents, plan.currency) },
  { title: "A year", class: "number", cell: (plan) => html`<${Money} cents=${plan.yearly_price_cents} currency=${plan.currency} />`, csv: (plan) => (plan.yearly_price_cents == null ? "" : amount(plan.yearly_price_cents, plan.currency)) },
  { title: "Currency", csv: (plan) => plan.currency },
  { title: "Trial", class: "number", cell: (plan) => (plan.trial_duration_days ? `${plan.trial_duration_days} d` : html`<span class="soft">none</span>`), csv: (plan) => plan.trial_duration_days },
  { title: "On sale", cell: (plan) => (plan.archived_at ? html`<${Tag}>archived<//>` : plan.public ? html`<${Tag} tone="good">public<//>` : html`<${Tag}>not listed<//>`), csv: (plan) => (plan.archived_at ? "archived" : plan.public ? "public" : "not listed") },
  { title: "Plan id", csv: (plan) => plan.plan_id },
];

export default function Plans() {
  return html`<${List} title="Plans" path="/admin/plans" columns=${COLUMNS} id=${(/** @type {Plan} */ plan) => plan.plan_id} everyMs=${15_000}
    onOpen=${edit} actions=${html`<button class="main" onClick=${() => edit()}>New plan</button>`}
    rowActions=${(/** @type {Plan} */ plan) => (plan.archived_at ? html`<button onClick=${() => restore(plan)}>Sell again</button>` : html`<button onClick=${() => archive(plan)}>Archive…</button>`)}
    empty=${html`<p>There is no plan yet. A plan says how many seats a licence has, what it costs and how long its trial is.</p>
      <p><button class="main" onClick=${() => edit()}>Make the first plan</button></p>`} />`;
}

/** @param {Plan} [plan] left out: a new one */
function edit(plan) {
  const currency = plan?.currency ?? "EUR";
  return ask({
    title: plan ? `Plan ${plan.plan_name}` : "New plan",
    text: plan && html`<p class="soft">Licences that were issued keep what they were issued with.</p>`,
    fields: [
      { name: "plan_name", label: "Name" },
      { name: "description", label: "Description", type: "area", optional: true, hint: "For the page where customers compare plans." },
      { name: "max_concurrent_seats", label: "Seats at once", type: "number", min: 1, max: 1_000_000 },
      { name: "max_activations", label: "Machines", type: "number", min: 1, optional: true, hint: "Empty: no limit." },
      { name: "monthly_price_cents", label: "Price a month", type: "money" },
      { name: "yearly_price_cents", label: "Price a year", type: "money", optional: true },
      { name: "currency", label: "Currency", half: true, hint: "Three letters, such as EUR." },
      { name: "trial_duration_days", label: "Days of trial", type: "number", min: 0, max: 365, hint: "0: none." },
      { name: "position", label: "Position", type: "number", min: 0, optional: true, hint: "On the pricing page, lower numbers first." },
      { name: "stripe_monthly_price_id", label: "Stripe price, a month", optional: true, hint: "price_…; empty: made at the first payment page." },
      { name: "stripe_yearly_price_id", label: "Stripe price, a year", optional: true },
      { name: "features", label: "Features", type: "area", optional: true, hint: html`One a line: <code>name = value</code>. A flag, a whole number or a text; <code>"7"</code> in quotes is a text.` },
      { name: "public", label: "Shown in the public list of plans", type: "check" },
    ],
    values: plan ? {
      plan_name: plan.plan_name, description: plan.description, max_concurrent_seats: String(plan.max_concurrent_seats),
      max_activations: plan.max_activations == null ? "" : String(plan.max_activations),
      monthly_price_cents: amount(plan.monthly_price_cents, currency),
      yearly_price_cents: plan.yearly_price_cents == null ? "" : amount(plan.yearly_price_cents, currency),
      position: String(plan.position), stripe_monthly_price_id: plan.stripe_monthly_price_id ?? "", stripe_yearly_price_id: plan.stripe_yearly_price_id ?? "",
      currency, trial_duration_days: String(plan.trial_duration_days), features: written(plan.features), public: plan.public,
    } : { currency, trial_duration_days: "14", max_concurrent_seats: "5", public: true },
    action: plan ? "Save" : "Make the plan",
    async submit(values) {
      const body = read(values, plan);
      await (plan ? call("PATCH", `/admin/plans/${plan.plan_id}`, body) : call("POST", "/admin/plans", body));
      toast(plan ? "The plan is saved." : `The plan ${values.plan_name} is on sale.`);
    },
  });
}

/**
 * What the form holds, as the API takes it. @param {Record<string, any>} values
 * @param {Plan} [plan] that is changed: what is empty is said to be none, rather than left out
 */
function read(values, plan) {
  const currency = values.currency.trim().toUpperCase();
  const price = (/** @type {string} */ name) => {
    const n = cents(values[name], currency);
    if (Number.isNaN(n)) throw invalid(name, "Write an amount such as 49 or 49.00.");
    return n;
  };
  const none = plan ? null : undefined;
  // Another amount takes away its price of Stripe, unless another one is named with it.
  const price_id = (/** @type {"stripe_monthly_price_id" | "stripe_yearly_price_id"} */ name) => {
    const given = (values[name] ?? "").trim();
    return given === (plan?.[name] ?? "") ? {} : { [name]: given || none };
  };
  return {
    plan_name: values.plan_name.trim(),
    description: values.description ?? "",
    max_concurrent_seats: Number(values.max_concurrent_seats),
    max_activations: values.max_activations ? Number(values.max_activations) : none,
    monthly_price_cents: price("monthly_price_cents"),
    yearly_price_cents: values.yearly_price_cents ? price("yearly_price_cents") : none,
    position: Number(values.position || 0),
    ...price_id("stripe_monthly_price_id"),
    ...price_id("stripe_yearly_price_id"),
    currency,
    trial_duration_days: Number(values.trial_duration_days),
    // Those that nobody touched stay what they are.
    features: plan && values.features === written(plan.features) ? undefined : parsed(values.features ?? ""),
    public: Boolean(values.public),
  };
}

/** @param {Plan["features"]} features */
function written(features) {
  const text = (/** @type {boolean | number | string} */ value) =>
    (typeof value === "string" && (value !== value.trim() || /[\n\r]/.test(value) || valueOf(value) !== value) ? JSON.stringify(value) : String(value));
  return Object.entries(features ?? {}).map(([name, value]) => `${name} = ${text(value)}`).join("\n");
}

/** What is written after the `=`: a text in quotes is one whatever it looks like. @param {string} text */
function valueOf(text) {
  if (text === "true" || text === "false") return text === "true";
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  try {
    return /^".*"$/.test(text) ? String(JSON.parse(text)) : text;
  } catch {
    return text;
  }
}

/** @param {string} text */
function parsed(text) {
  /** @type {Record<string, boolean | number | string>} */
  const features = {};
  for (const row of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const at = row.indexOf("=");
    const name = (at < 0 ? row : row.slice(0, at)).trim(), value = at < 0 ? "true" : row.slice(at + 1).trim();
    if (!name) throw invalid("features", `This line has no name: ${row}`);
    features[name] = valueOf(value);
  }
  return features;
}

/** @param {Plan} plan */
function archive(plan) {
  return ask({
    title: `Archive ${plan.plan_name}`,
    text: html`<p>Nobody can choose it any more. Subscriptions and licences that have it go on as they are.</p>`,
    action: "Archive",
    async submit() {
      await call("POST", `/admin/plans/${plan.plan_id}/archive`);
      toast(`${plan.plan_name} is archived.`, { undo: () => call("POST", `/admin/plans/${plan.plan_id}/restore`) });
    },
  });
}

/** @param {Plan} plan */
function restore(plan) {
  return ask({
    title: `Sell ${plan.plan_name} again`,
    text: html`<p>Customers can choose it again${plan.public ? ", and the public list shows it" : ""}.</p>`,
    action: "Sell again",
    async submit() {
      await call("POST", `/admin/plans/${plan.plan_id}/restore`);
      toast(`${plan.plan_name} is on sale again.`, { undo: () => call("POST", `/admin/plans/${plan.plan_id}/archive`) });
    },
  });
}
