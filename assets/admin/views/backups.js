// Backups: made, kept on another computer, put back.

import { LONG_MS, Problem, account, call, changes, download, ended, list } from "../api.js";
import { ask } from "../dialog.js";
import { bytes } from "../format.js";
import { html, signal } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { attempt, toast } from "../toast.js";
import { Ago, Empty, Head, Loading, Note, Section, Trouble } from "../ui.js";

/** @typedef {{ file: string, bytes: number, created_at: string }} Backup */

const LOOK_EVERY_MS = 500;
/** The server promises to stop within ten seconds; a large file takes its time to be copied. */
const PATIENCE_MS = 120_000;

/** A restore that is under way. */
const restoring = signal(/** @type {{ file: string, late: boolean } | null} */ (null));
/** Whether one is being made: a large database takes a while. */
const making = signal(false);

async function look() {
  const [backups, overview] = await Promise.all([list("/admin/backups"), call("GET", "/admin/overview")]);
  return {
    items: /** @type {Backup[]} */ (backups.items),
    disk: /** @type {{ free_bytes: number, total_bytes: number } | null} */ (overview.disk),
    failed: failure(overview),
  };
}

/** What the server says of a restore that failed. @param {{ attention: { code: string, text: string }[] | null }} overview */
function failure({ attention }) {
  return attention?.find(({ code }) => code === "restore_failed")?.text;
}

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "File", class: "mono", cell: (/** @type {Backup} */ backup) => backup.file },
  { title: "Made", cell: (backup) => html`<${Ago} at=${backup.created_at} />` },
  { title: "Size", class: "number", cell: (backup) => bytes(backup.bytes) },
];

export default function Backups() {
  return restoring.value ? html`<${Restoring} ...${restoring.value} />` : html`<${Kept} />`;
}

function Kept() {
  const { data, problem } = usePoll(look, 10_000);
  return html`<${Head} title="Backups" actions=${html`<button class="main" disabled=${making.value} onClick=${make}>${making.value ? "Making it…" : "Make a backup"}</button>`}>
      <p class="soft intro">Each is a consistent copy of everything, made while the server goes on. Keep some on another computer, and the
      master key in yet another place: a backup is of no use without it. <a href="/handbook/backup-and-restore">How to</a></p><//>
    ${data?.failed && html`<${Note} kind="bad"><p>${data.failed}</p><//>`}
    <${Section}>
      ${problem && html`<div class="inset"><${Trouble} problem=${problem} /></div>`}
      ${!data && !problem && html`<${Loading} />`}
      ${data && (data.items.length ? html`<${Table} path="backups" columns=${COLUMNS} rows=${data.items} id=${(/** @type {Backup} */ backup) => backup.file}
          rowActions=${(/** @type {Backup} */ backup) => html`<${Acts} backup=${backup} />`} />`
        : html`<${Empty}><p>No backup was made yet. The first takes a moment and asks for nothing.</p><//>`)}<//>
    ${data?.disk && html`<p class="soft">${bytes(data.disk.free_bytes)} of ${bytes(data.disk.total_bytes)} are free on the disk that holds them.</p>`}`;
}

/** @param {{ backup: Backup }} props */
function Acts({ backup }) {
  const path = `/admin/backups/${encodeURIComponent(backup.file)}`;
  return html`<button onClick=${() => attempt(() => download(path, backup.file))}>Download</button>
    ${" "}<button onClick=${() => restore(backup)}>Restore</button>
    ${" "}<button onClick=${() => remove(backup)}>Delete</button>`;
}

async function make() {
  making.value = true;
  const made = await attempt(() => call("POST", "/admin/backups", undefined, { timeout: LONG_MS }));
  making.value = false;
  if (made) toast(`${made.file} is made: ${bytes(made.bytes)}.`);
}

/** @param {Backup} backup */
async function remove({ file }) {
  const done = await ask({
    title: "Delete a backup", action: "Delete", danger: true,
    text: html`<p><code>${file}</code> is deleted from this server. Copies that you keep elsewhere stay.</p>`,
    submit: () => call("DELETE", `/admin/backups/${encodeURIComponent(file)}`),
  });
  if (done) toast(`${file} is deleted.`);
}

/** @param {Backup} backup */
async function restore({ file, created_at }) {
  let since = 0;
  const accepted = await ask({
    title: "Restore a backup", action: "Restore and restart", danger: true, typed: file,
    text: html`<p>The server stops, puts <code>${file}</code> in place of its database, and starts again by itself. That takes some seconds.</p>
      <p>Everything since <strong>${created_at.slice(0, 19).replace("T", " ")} UTC</strong> (<${Ago} at=${created_at} />) is undone: accounts, licences, payments,
        status changes. Seats taken since are taken again by their applications. Who signed in since has to sign in again, perhaps with an older password.</p>
      <p>The database of now is not lost: it is kept beside the new one in the data folder.</p>`,
    submit: () => {
      since = Date.now();
      return call("POST", `/admin/backups/${encodeURIComponent(file)}/restore`, { confirm: file }, { timeout: LONG_MS });
    },
  });
  if (accepted) await awaitRestart(file, since);
}

/** Waits until a server answers that was started after the request. @param {string} file @param {number} since milliseconds */
async function awaitRestart(file, since) {
  const accepted = Date.now();
  restoring.value = { file, late: false };
  while (restoring.value) {
    await new Promise((done) => { setTimeout(done, LOOK_EVERY_MS); });
    try {
      const overview = await call("GET", "/admin/overview");
      if (overview.uptime_s * 1000 < Date.now() - since) isBack(file, failure(overview) ?? await undone(file));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      // The database of before knew this sign-in.
      if (problem.status === 401) isBack(file);
    }
    if (restoring.value && Date.now() - accepted > PATIENCE_MS) restoring.value = { file, late: true };
  }
}

const OUTCOMES = ["backup.restore_asked", "backup.restored", "backup.restore_failed"];

/** What is to be said when the server is back without the backup. @param {string} file @returns {Promise<string | undefined>} */
async function undone(file) {
  const { items } = await list("/admin/audit", { subject: file });
  if (items.find(({ action }) => OUTCOMES.includes(action))?.action === "backup.restored") return undefined;
  return `The server is back, and ${file} is not in place: all data is as it was before. Its log says more.`;
}

/** @param {string} file @param {string} [failed] why it is not in place */
function isBack(file, failed) {
  restoring.value = null;
  if (account.value) {
    changes.value += 1;
    toast(failed ?? `${file} is in place, and the server is back.`, { tone: failed ? "bad" : "good" });
  } else {
    ended.value = `${file} is in place, and the server is back. This sign-in is younger than the backup: sign in again.`;
  }
}

/** @param {{ file: string, late: boolean }} props */
function Restoring({ file, late }) {
  return html`<${Head} title="Restoring" />
    <${Note}><p><strong>The server restarts with <code>${file}</code>.</strong></p><p>This page waits for it and goes on by itself.</p><//>
    ${late && html`<${Note} kind="bad"><p>It has not come back for two minutes. Look at its log on the server's computer: what it says there is the
      reason. If it does not run, start it; the database of before is beside the new one. <a href="/handbook/backup-and-restore">What to do</a></p><//>`}`;
}
