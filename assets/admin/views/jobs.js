// Jobs: what the server does by itself, what waits for its time, and what it gave up on.

import { Problem, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { count, plain } from "../format.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { attempt, toast } from "../toast.js";
import { Ago, Tag } from "../ui.js";

/**
 * @typedef {object} JobRow
 * @property {string} job_id
 * @property {string} kind `send_mail`
 * @property {string} due
 * @property {number} attempts that failed
 * @property {string | null} last_error
 * @property {string} created_at
 */

/** @type {Record<string, string>} */
const KINDS = {
  send_mail: "Send a mail",
  mail_link: "Mail somebody a link",
  subscription_due: "See to a subscription",
  license_due: "See to a licence",
  rotate_keys: "Look whether a signing key is due",
  housekeeping: "Tidy up",
};

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Job", cell: (/** @type {JobRow} */ job) => KINDS[job.kind] ?? plain(job.kind), csv: (job) => job.kind },
  { title: "Due", cell: (job) => html`<${Ago} at=${job.due} />`, csv: (job) => job.due },
  { title: "Queued", cell: (job) => html`<${Ago} at=${job.created_at} />`, csv: (job) => job.created_at },
  { title: "Failed", cell: (job) => (job.attempts ? html`<${Tag} tone="warn">${count(job.attempts, "time")}<//>` : ""), csv: (job) => job.attempts },
  { title: "Because", class: "wide", cell: (job) => job.last_error ?? "", csv: (job) => job.last_error },
  { title: "Job id", csv: (job) => job.job_id },
];

/** @param {{ query: Record<string, string> }} props */
export default function Jobs({ query }) {
  const parked = query.parked === "true";
  return html`<${List} title="Jobs" path="/admin/jobs" columns=${COLUMNS} id=${(/** @type {JobRow} */ job) => job.job_id}
    filters=${[{ name: "parked", label: "Show", options: [["", "Waiting"], ["true", "Parked"]] }]}
    intro=${parked ? "These failed so often that the server stopped trying. Mend what they say, then let it try again."
      : "What the server does by itself when its time has come. What fails is tried again, later each time, and is parked in the end."}
    actions=${parked && html`<button class="main" onClick=${retryAll}>Retry all parked</button>`}
    rowActions=${parked && ((/** @type {JobRow} */ job) => html`<button onClick=${() => retry(job)}>Retry</button>`)}
    empty=${html`<p>${parked ? "No job is parked: nothing needs a hand." : "No job waits."}</p>`} />`;
}

/** @param {JobRow} job */
function retry(job) {
  return attempt(() => call("POST", `/admin/jobs/${job.job_id}/retry`), { done: "It is tried again now." });
}

async function retryAll() {
  const ids = await attempt(parkedIds);
  if (!ids) return;
  if (!ids.length) {
    toast("No job is parked any more.");
    return;
  }
  await ask({
    title: "Retry all parked jobs", action: `Retry ${count(ids.length, "job")}`,
    text: html`<p>${count(ids.length, "job")} ${ids.length === 1 ? "is" : "are"} tried again now. What still fails is parked again after the usual number of attempts.</p>`,
    submit: async () => {
      let gone = 0;
      for (const id of ids) {
        try {
          await call("POST", `/admin/jobs/${id}/retry`);
        } catch (problem) {
          // Somebody else was quicker with this one.
          if (!(problem instanceof Problem) || problem.status !== 404) throw problem;
          gone += 1;
        }
      }
      toast(`${count(ids.length - gone, "job")} ${ids.length - gone === 1 ? "is" : "are"} tried again.`);
    },
  });
}

async function parkedIds() {
  /** @type {string[]} */
  const ids = [];
  let cursor = "";
  do {
    const page = await list("/admin/jobs", { parked: "true", limit: 200, cursor });
    ids.push(...page.items.map((/** @type {JobRow} */ job) => job.job_id));
    cursor = page.next_cursor ?? "";
  } while (cursor);
  return ids;
}
