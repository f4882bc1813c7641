// What an operator wants to see first: what needs a hand, seats now, licences, money, and how the server is.

import { call } from "../api.js";
import { STATUS_TONE, bytes, count, plain, seconds } from "../format.js";
import { html, useEffect } from "../lib.js";
import { glance } from "../live.js";
import { usePoll } from "../poll.js";
import { to } from "../route.js";
import { Ago, Bar, Facts, Head, Loading, Section, Tag, Trouble } from "../ui.js";
import { Revenue, SeatChart } from "./overview-charts.js";

/**
 * @typedef {Record<string, number>} Counts
 * @typedef {object} OverviewAnswer
 * @property {{ live: number, peak: number, denials: number, licenses_in_use: number }} seats
 * @property {Counts} licenses by status
 * @property {number} users
 * @property {number} orgs
 * @property {Counts} subscriptions by status
 * @property {{ waiting: number, parked: number }} jobs
 * @property {Counts} mails by status
 * @property {{ status: "writable" | "read_only", reason: string | null }} storage
 * @property {{ status: "ready" | "generating", kid: string | null, created_at: string | null, rotation_due_at?: string | null }} signing_key
 * @property {{ code: string, severity: "warning" | "problem", text: string, screen: string }[]} [attention]
 * @property {{ month: string, currency: string, amount_cents: number, payments: number }[]} [revenue]
 * @property {{ file: string, bytes: number, created_at: string } | null} [last_backup]
 * @property {{ free_bytes: number, total_bytes: number }} [disk]
 * @property {string} version
 * @property {number} uptime_s
 */

export default function Overview() {
  const { data, problem, again } = usePoll(() => call("GET", "/admin/overview"), 10_000);
  // What only the whole answer has may have changed with the counters that are live.
  const parked = `${glance.value?.jobs?.parked} ${glance.value?.mails?.parked}`;
  useEffect(() => { if (data) again(); }, [parked]);
  if (!data) return html`<${Head} title="Overview" /><${Loading} problem=${problem} />`;
  /** @type {OverviewAnswer} */
  const now = { ...data, ...pick(glance.value) };
  return html`<${Head} title="Overview" />
    <${Trouble} problem=${problem} />
    <${Attention} overview=${now} />
    <div class="overview">
      <${Section} class="seats" title="Seats" actions=${html`<a href="#/seats">Who holds them</a>`}>
        <div class="figures"><${Figure} n=${now.seats.live} words="held now" big /><${Figure} n=${now.seats.peak} words="most at once" />
          <${Figure} n=${now.seats.denials} words="refused, all taken" tone=${now.seats.denials ? "warn" : ""} /><${Figure} n=${now.seats.licenses_in_use} words="licences in use" /></div>
        <${SeatChart} live=${now.seats.live} /><//>
      <${Section} title="Licences" actions=${html`<a href="#/licenses">${count(sum(now.licenses))}</a>`}>
        <${ByStatus} counts=${now.licenses} screen="licenses" none=${html`None yet. <a href="#/licenses">Issue the first</a>`} /><//>
      <${Section} title="Subscriptions" actions=${html`<a href="#/subscriptions">${count(sum(now.subscriptions))}</a>`}>
        <${ByStatus} counts=${now.subscriptions} screen="subscriptions" none=${html`None yet.`} /><//>
      ${now.revenue && now.revenue.length > 0 && html`<${Section} class="revenue" title="Revenue" actions=${html`<a href="#/payments">Payments</a>`}><${Revenue} revenue=${now.revenue} /><//>`}
      <${Section} class="server" title="Server" actions=${html`<a href="#/diagnostics">Diagnostics</a>`}><${Facts} of=${server(now)} /><//>
    </div>`;
}

/** The live counters, where there are any. @param {any} live */
function pick(live) {
  return live ? Object.fromEntries(["seats", "licenses", "subscriptions", "jobs", "mails"].filter((name) => live[name]).map((name) => [name, live[name]])) : {};
}

/** @param {Counts} counts */
const sum = (counts) => Object.values(counts).reduce((total, n) => total + n, 0);

/** @param {{ overview: OverviewAnswer }} props */
function Attention({ overview }) {
  const { attention, storage } = overview;
  // A server of before this list says the worst at least.
  const list = attention ?? (storage.status === "writable" ? [] : [{ code: "storage", severity: "problem", text: storage.reason || "Storage refuses writes.", screen: "diagnostics" }]);
  if (!list.length) return html`<p class="calm"><${Tag} tone="good">ok<//> Nothing needs a hand.</p>`;
  return html`<ul class="attention" aria-label="Needs attention">${list.map((each) => html`<li key=${each.code} class=${each.severity}>
    <a href=${`#/${each.screen.replace(/^#?\/?/, "")}`}>${each.text}</a></li>`)}</ul>`;
}

/** @param {{ n: number, words: string, big?: boolean, tone?: string }} props */
function Figure({ n, words, big = false, tone = "" }) {
  return html`<p class=${`figure ${big ? "big" : ""} ${tone}`}><strong>${count(n)}</strong> <span>${words}</span></p>`;
}

/** The statuses that occur, each with its share. @param {{ counts: Counts, screen: string, none: any }} props */
function ByStatus({ counts, screen, none }) {
  const present = Object.entries(counts).filter(([, n]) => n > 0);
  if (!present.length) return html`<p class="text soft">${none}</p>`;
  const most = Math.max(...present.map(([, n]) => n));
  return html`<ul class="shares">${present.map(([status, n]) => html`<li key=${status}><a href=${to(screen, "", { status })}>
    <span>${plain(status)}</span><${Bar} of=${n} max=${most} tone=${STATUS_TONE[status]} /><strong>${count(n)}</strong></a></li>`)}</ul>`;
}

/** @param {OverviewAnswer} now @returns {([any, any] | false | undefined)[]} */
function server({ storage, disk, last_backup, signing_key, jobs, mails, users, orgs, version, uptime_s }) {
  return [
    ["Storage", html`<${Tag} tone=${storage.status === "writable" ? "good" : "bad"}>${plain(storage.status)}<//>${disk && disk.total_bytes > 0 && html` <span class="soft">${bytes(disk.free_bytes)} free</span>`}`],
    last_backup !== undefined && ["Last backup", html`<a href="#/backups">${last_backup ? html`<${Ago} at=${last_backup.created_at} />` : "none yet"}</a>`],
    ["Signing key", html`<a href="#/keys">${signing_key.status === "ready" ? html`<${Ago} at=${signing_key.created_at} />` : "being made"}</a>
      ${signing_key.rotation_due_at && html` <span class="soft">next <${Ago} at=${signing_key.rotation_due_at} /></span>`}`],
    ["Jobs", html`<a href="#/jobs">${count(jobs.waiting)} planned</a>${jobs.parked > 0 && html` <a href="#/jobs?parked=true"><${Tag} tone="bad">${count(jobs.parked)} parked<//></a>`}`],
    ["E-mails", html`<a href="#/emails">${count((mails.sent ?? 0) + (mails.delivered ?? 0))} sent</a>${mails.waiting > 0 && html` <span class="soft">${count(mails.waiting)} waiting</span>`}${mails.parked > 0 && html` <a href="#/emails?status=parked"><${Tag} tone="bad">${count(mails.parked)} parked<//></a>`}`],
    ["People", html`<a href="#/users">${count(users, "user")}</a>, <a href="#/orgs">${count(orgs, "organisation")}</a>`],
    ["Version", html`${version} <span class="soft">up ${seconds(uptime_s)}</span>`],
  ];
}
