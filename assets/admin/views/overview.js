// What an operator wants to see first: seats now, licences, customers, and whether anything needs a hand.

import { call, serverNow } from "../api.js";
import { html } from "../lib.js";
import { Ago, Note, Tag, Trouble, count, seconds, usePoll, useTitle } from "../ui.js";
import { LicenseTable } from "./licenses.js";
import { SeatTable } from "./seats.js";
import { Sparkline, remember } from "./sparkline.js";
import { STATUS_TONE } from "./status.js";

const EVERY_MS = 2000;
/** Rows of each table here; the views of their own have the rest. */
const ROWS = 8;

/**
 * @typedef {Record<string, number>} Counts
 * @typedef {object} OverviewAnswer
 * @property {{ live: number, peak: number, denials: number, licenses_in_use: number }} seats
 * @property {Counts} licenses by status
 * @property {number} users
 * @property {number} orgs
 * @property {Counts} subscriptions by status
 * @property {{ waiting: number, parked: number }} jobs
 * @property {{ sent: number, waiting: number, parked: number }} mails
 * @property {{ status: "writable" | "read_only", reason: string | null }} storage
 * @property {{ status: "ready" | "generating", kid: string | null, created_at: string | null }} signing_key
 * @property {string} version
 * @property {number} uptime_s
 */

async function ask() {
  const [overview, sessions, licenses] = await Promise.all([
    call("GET", "/admin/overview"),
    call("GET", `/admin/sessions?limit=${ROWS}`),
    call("GET", `/admin/licenses?limit=${ROWS}`),
  ]);
  remember(Date.now(), overview.seats.live);
  return { overview: /** @type {OverviewAnswer} */ (overview), sessions, licenses };
}

export function Overview() {
  useTitle("Overview");
  const { data, problem } = usePoll(ask, EVERY_MS);
  return html`<h1 class="unseen">Overview</h1>
    <${Trouble} problem=${problem} />
    ${!data && !problem && html`<p class="soft" aria-busy="true">Loading…</p>`}
    ${data && html`<${Warnings} ...${data.overview} />
      <${Figures} ...${data.overview} />
      <${Tables} ...${data} />
      <${Health} ...${data.overview} />`}`;
}

/** What needs a hand, first and in words. @param {OverviewAnswer} props */
function Warnings({ storage, signing_key, jobs, mails }) {
  return html`
    ${storage.status !== "writable" && html`<${Note} kind="bad"><p><strong>Storage refuses writes.</strong>
      ${" "}${storage.reason || "The reason is in the log."} Seats that are held stay held; nothing new can be
      issued. <a href="/handbook/operations#when-the-disk-is-full">What to do</a></p><//>`}
    ${signing_key.status !== "ready" && html`<${Note}><p>The signing key is being made, which takes a few seconds on
      the first start. Licences can be issued when it is ready.</p><//>`}
    ${jobs.parked + mails.parked > 0 && html`<${Note} kind="warn"><p>
      ${parked(jobs.parked, mails.parked)} given up after repeated failures.
      ${" "}<a href="/handbook/operations#parked-jobs">What to do</a></p><//>`}`;
}

/** @param {number} jobs @param {number} mails */
function parked(jobs, mails) {
  const parts = [];
  if (jobs) parts.push(count(jobs, "background job"));
  if (mails) parts.push(count(mails, "mail"));
  return `${parts.join(" and ")} ${jobs + mails === 1 ? "was" : "were"}`;
}

/** @param {OverviewAnswer} props */
function Figures({ seats, licenses, users, orgs, subscriptions, jobs, mails }) {
  return html`<div class="figures">
    <section class="wide"><h2>Seats</h2>
      <div class="seats"><p class="big">${count(seats.live)}<span>held now</span></p>
        <${Sparkline} /></div>
      <dl><${Row} name="Most at once" value=${count(seats.peak)} />
        <${Row} name="Licences in use" value=${count(seats.licenses_in_use)} />
        <${Row} name="Refused for want of a seat" value=${count(seats.denials)} /></dl></section>
    <section><h2>Licences</h2><${ByStatus} counts=${licenses} none="None issued yet." /></section>
    <section><h2>Customers</h2><dl><${Row} name="Organisations" value=${count(orgs)} /><${Row} name="Users" value=${count(users)} /></dl>
      <h3>Subscriptions</h3><${ByStatus} counts=${subscriptions} none="None yet." /></section>
    <section><h2>In the background</h2><dl>
      <${Row} name="Jobs planned" value=${count(jobs.waiting)} />
      <${Row} name="Jobs parked" value=${count(jobs.parked)} tone=${jobs.parked ? "warn" : ""} />
      <${Row} name="Mails sent" value=${count(mails.sent)} />
      <${Row} name="Mails waiting" value=${count(mails.waiting)} />
      <${Row} name="Mails parked" value=${count(mails.parked)} tone=${mails.parked ? "warn" : ""} /></dl></section>
  </div>`;
}

/** @param {{ name: any, value: any, tone?: string }} props */
function Row({ name, value, tone = "" }) {
  return html`<div><dt>${name}</dt><dd class=${tone}>${value}</dd></div>`;
}

/** The statuses that occur, in the server's order. @param {{ counts: Counts, none: string }} props */
function ByStatus({ counts, none }) {
  const present = Object.entries(counts).filter(([, n]) => n > 0);
  if (!present.length) return html`<p class="soft">${none}</p>`;
  return html`<dl>${present.map(([status, n]) => html`
    <${Row} key=${status} name=${html`<${Tag} tone=${STATUS_TONE[status]}>${status.replace("_", " ")}<//>`} value=${count(n)} />`)}</dl>`;
}

/** @param {{ overview: OverviewAnswer, sessions: any, licenses: any }} props */
function Tables({ overview, sessions, licenses }) {
  const now = serverNow();
  const issued = Object.values(overview.licenses).reduce((sum, n) => sum + n, 0);
  return html`
    <section class="panel"><header><h2>Live seats</h2>
      ${sessions.next_cursor && html`<a href="#/seats">All ${count(overview.seats.live)}</a>`}</header>
      <${SeatTable} items=${sessions.items} now=${now} issued=${issued} /></section>
    <section class="panel"><header><h2>Licences</h2>
      ${licenses.next_cursor && html`<a href="#/licenses">All ${count(issued)}</a>`}</header>
      <${LicenseTable} items=${licenses.items} /></section>`;
}

/** @param {OverviewAnswer} props */
function Health({ storage, signing_key, version, uptime_s }) {
  const key = signing_key.kid ? html` <code title=${signing_key.kid}>${signing_key.kid.slice(0, 12)}…</code>, made <${Ago} at=${signing_key.created_at} now=${serverNow()} />` : null;
  return html`<footer class="health"><ul>
    <li>Storage <${Tag} tone=${storage.status === "writable" ? "good" : "bad"}>${storage.status.replace("_", " ")}<//></li>
    <li>Signing key <${Tag} tone=${signing_key.status === "ready" ? "good" : "warn"}>${signing_key.status}<//>${key}</li>
    <li>Version ${version}</li><li>Up ${seconds(uptime_s)}</li>
    <li><a href="/health/ready">Readiness</a></li><li><a href="/metrics">Metrics</a></li></ul></footer>`;
}
