// Small parts that the screens are made of.

import { NO_FACTOR, Problem, serverNow } from "./api.js";
import { STATUS_TONE, about, count, day, money, plain, seconds } from "./format.js";
import { html, signal, useEffect, useRef, useState } from "./lib.js";

/** @param {{ kind?: "good" | "warn" | "bad" | "", children?: any }} props */
export function Note({ kind = "", children }) {
  return html`<div class=${`note ${kind}`} role=${kind === "bad" ? "alert" : "status"}>${children}</div>`;
}

/**
 * What went wrong with a request, unless the fields themselves show it.
 * @param {{ problem: Problem | null, shown?: string[] }} props `shown`: fields that show their own error
 */
export function Trouble({ problem, shown = [] }) {
  if (!problem) return null;
  const elsewhere = Object.entries(problem.fields).filter(([field]) => !shown.includes(field));
  if (!elsewhere.length && shown.some((field) => problem.fields[field])) return null;
  const wait = problem.retryAfterS ? ` Try again in ${seconds(problem.retryAfterS)}.` : "";
  return html`<${Note} kind="bad"><p>${problem.message}${wait}</p>
    ${elsewhere.length > 0 && html`<ul>${elsewhere.map(([field, message]) => html`<li><code>${field}</code>: ${message}</li>`)}</ul>`}
    ${problem.code === NO_FACTOR && html`<p><a href="#/account">Set it up in your account</a></p>`}<//>`;
}

/** @param {{ tone?: string, children?: any }} props `tone`: good, warn or bad */
export function Tag({ tone = "", children }) {
  return html`<span class=${`tag ${tone}`}>${children}</span>`;
}

/** A status in its colour and in words. @param {{ of: string }} props */
export function Status({ of }) {
  return html`<${Tag} tone=${STATUS_TONE[of]}>${plain(of)}<//>`;
}

/** A page that holds one thing: a form, an explanation. @param {{ title: string, children?: any }} props */
export function Alone({ title, children }) {
  useTitle(title);
  return html`<main class="alone" id="main"><a class="brand" href="/admin"><img src="/favicon.svg" alt="" width="28" height="28" />CODITECT</a>
    <h1>${title}</h1>${children}
    <p class="foot soft"><a href="/handbook">Handbook</a> · <a href="/docs">API</a></p></main>`;
}

/**
 * The head of a screen. @param {{ title: string, name?: any, back?: { href: string, title: string }, actions?: any, children?: any }} props
 * `title` is also the window's; `name` stands in its place on the page
 */
export function Head({ title, name = title, back, actions, children }) {
  useTitle(title);
  return html`<header class="head">
    ${back && html`<p class="back"><a href=${back.href}>← ${back.title}</a></p>`}
    <h1>${name}</h1>${children}
    ${actions && html`<div class="actions">${actions}</div>`}</header>`;
}

/** @param {{ title?: any, actions?: any, class?: string, children?: any }} props */
export function Section({ title, actions, class: name = "", children }) {
  return html`<section class=${`panel ${name}`}>
    ${title && html`<header><h2>${title}</h2>${actions && html`<div class="actions">${actions}</div>`}</header>`}
    ${children}</section>`;
}

/** Facts about a record: names and values. @param {{ of: ([any, any] | false | null | undefined)[] }} props */
export function Facts({ of }) {
  return html`<dl class="facts">${of.map((pair) => pair && html`<div><dt>${pair[0]}</dt><dd>${pair[1] ?? html`<span class="soft">–</span>`}</dd></div>`)}</dl>`;
}

/** What stands in the place of a list that is empty: what to do next. @param {{ children?: any }} props */
export function Empty({ children }) {
  return html`<div class="empty">${children}</div>`;
}

/** While the first answer is awaited. @param {{ problem?: Problem | null }} props */
export function Loading({ problem = null }) {
  return problem ? html`<${Trouble} problem=${problem} />` : html`<p class="empty soft" aria-busy="true">Loading…</p>`;
}

/** @param {string} title */
export function useTitle(title) {
  useEffect(() => { document.title = `${title} · CODITECT`; }, [title]);
}

/** Moves the keyboard to an element when it appears. */
export function useFocus() {
  const ref = useRef(/** @type {any} */ (null));
  useEffect(() => { ref.current?.focus(); }, []);
  return ref;
}

/** Copies a text, and says that it did. @param {{ text: string, label?: string }} props */
export function Copy({ text, label = "Copy" }) {
  const [done, setDone] = useState("");
  const copy = async () => {
    // Without TLS a browser gives no clipboard; the text itself can still be selected.
    setDone(await navigator.clipboard?.writeText(text).then(() => "Copied", () => "Not allowed") ?? "Needs https");
    setTimeout(() => setDone(""), 1500);
  };
  return html`<button type="button" class="plain copy" onClick=${copy} title=${text.includes("\n") ? label : `Copy ${text}`} aria-live="polite">${done || label}</button>`;
}

/** The server's time, a second at a time while the page can be seen. */
const now = signal(serverNow());
setInterval(() => { if (!document.hidden) now.value = serverNow(); }, 1000);

/** A moment as people read it, with the exact one in its title. @param {{ at: string | null | undefined, missing?: string }} props */
export function Ago({ at, missing = "–" }) {
  const then = Date.parse(at || "");
  if (!then) return html`<span class="soft">${missing}</span>`;
  const s = (now.value - then) / 1000;
  const text = Math.abs(s) < 1 ? "now" : s > 0 ? `${about(s)} ago` : `in ${about(-s)}`;
  return html`<time datetime=${at} title=${at}>${text}</time>`;
}

/** @param {{ at: string | null | undefined, missing?: string }} props */
export function Day({ at, missing = "–" }) {
  const text = day(at);
  return text ? html`<time datetime=${at} title=${at}>${text}</time>` : html`<span class="soft">${missing}</span>`;
}

/** @param {{ cents: number | null | undefined, currency: string, missing?: string }} props */
export function Money({ cents, currency, missing = "–" }) {
  return cents == null ? html`<span class="soft">${missing}</span>` : html`<span class="nowrap">${money(cents, currency)}</span>`;
}

/** A share of a whole, for the eye alone: the number stands beside it. @param {{ of: number, max: number, tone?: string }} props */
export function Bar({ of, max, tone = "" }) {
  // What is not nothing can be seen.
  const width = of > 0 ? Math.min(Math.max((of / Math.max(max, 1)) * 100, 3), 100) : 0;
  return html`<svg class=${`bar-of ${tone}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect class="whole" width="100" height="6" /><rect class="share" width=${width} height="6" /></svg>`;
}

/** Seats in use of those there are. @param {{ used: number | undefined, max: number }} props */
export function Use({ used = 0, max }) {
  return html`<span class="use"><span class="nowrap">${count(used)} of ${count(max)}</span>${used > 0 && html`<${Bar} of=${used} max=${max} tone=${used >= max ? "warn" : ""} />`}</span>`;
}

/** Who a record belongs to. @param {{ customer?: { org_id: string, org_name?: string, email?: string, full_name?: string } | null | undefined, org_id?: string }} props */
export function customerName({ customer, org_id }) {
  return customer ? customer.full_name || customer.org_name || customer.email || customer.org_id : org_id || "";
}

/** Whose records a list is narrowed to. @param {any[]} rows @param {Record<string, string>} asking */
export function ofOrg(rows, asking) {
  if (!asking.org_id) return null;
  return html`<span class="chip">Only of <strong>${rows[0]?.customer?.org_name ?? asking.org_id}</strong></span>`;
}
