// Mails: what was to be sent, why, and what became of it. Behind `#/emails/ID` one of them as its reader sees it.

import { call } from "../api.js";
import { count, plain } from "../format.js";
import { html, useState } from "../lib.js";
import { List } from "../list.js";
import { MailFrame } from "../mail-frame.js";
import { usePoll } from "../poll.js";
import { to } from "../route.js";
import { attempt } from "../toast.js";
import { Ago, Facts, Head, Loading, Note, Section, Status, Trouble } from "../ui.js";

/**
 * @typedef {object} MailRow
 * @property {string} mail_id
 * @property {string} to
 * @property {string} message which of the templates: `license_delivered`
 * @property {string} cause `license.issued`
 * @property {"waiting" | "sent" | "delivered" | "bounced" | "parked"} status
 * @property {number} attempts
 * @property {string | null} last_error
 * @property {string} created_at
 * @property {string | null} sent_at
 *
 * @typedef {{ at: string, transport: string, outcome: "taken" | "failed" | "refused", answer: string }} Attempt
 * @typedef {{ at: string, kind: "delivered" | "bounced" | "dropped" | "spam", detail: string }} Delivery
 * @typedef {MailRow & { provider_id: string | null, attempt_log: Attempt[], deliveries: Delivery[], subject: string, text: string, html: string }} Mail
 */

/** @type {[string, string][]} */
const STATUS = [["", "Any"], ["waiting", "Waiting"], ["sent", "Sent"], ["delivered", "Delivered"], ["bounced", "Bounced"], ["parked", "Parked"]];

/** Whether a transport took it: it is not sent again from here. @param {MailRow} mail */
const out = (mail) => mail.status !== "waiting" && mail.status !== "parked";

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "To", class: "cut", cell: (/** @type {MailRow} */ mail) => mail.to },
  { title: "Message", cell: (mail) => plain(mail.message), csv: (mail) => mail.message },
  { title: "Because of", cell: (mail) => html`<span class="soft">${plain(mail.cause)}</span>`, csv: (mail) => mail.cause },
  { title: "Status", class: "state", cell: (mail) => html`<span><${Status} of=${mail.status} />
      ${!out(mail) && mail.last_error && html` <span class="sub">${mail.last_error}</span>`}</span>`, csv: (mail) => mail.status },
  { title: "Queued", cell: (mail) => html`<${Ago} at=${mail.created_at} />`, csv: (mail) => mail.created_at },
  { title: "Sent", csv: (mail) => mail.sent_at },
  { title: "Last error", csv: (mail) => mail.last_error },
  { title: "Attempts", csv: (mail) => mail.attempts },
  { title: "Mail id", csv: (mail) => mail.mail_id },
];

/** @param {{ id: string }} props */
export default function Emails({ id }) {
  if (id === "templates") return html`<${Templates} />`;
  if (id) return html`<${OneMail} id=${id} />`;
  return html`<${List} title="E-mails" path="/admin/emails" actions=${html`<a class="button" href=${to("emails", "templates")}>Templates</a>`} columns=${COLUMNS} id=${(/** @type {MailRow} */ mail) => mail.mail_id}
    href=${(/** @type {MailRow} */ mail) => to("emails", mail.mail_id)} filters=${[{ name: "status", label: "Status", options: STATUS }]}
    rowActions=${(/** @type {MailRow} */ mail) => mail.status === "parked" && html`<button onClick=${() => retry(mail)}>Retry</button>`}
    empty=${html`<p>No mail was sent yet. The first ones go out when a customer registers or receives a licence.</p>`} />`;
}

/** @param {MailRow} mail */
function retry(mail) {
  return attempt(() => call("POST", `/admin/emails/${mail.mail_id}/retry`), { done: `The mail to ${mail.to} is tried again now.` });
}

/** @param {{ id: string }} props */
function OneMail({ id }) {
  const { data: mail, problem } = usePoll(() => /** @type {Promise<Mail>} */ (call("GET", `/admin/emails/${id}`)), 3000, [id]);
  const [shown, show] = useState("html");
  const back = { href: "#/emails", title: "E-mails" };
  if (!mail) return html`<${Head} title="E-mail" back=${back} /><${Loading} problem=${problem} />`;
  const acts = !out(mail) && html`<button class=${mail.status === "parked" ? "main" : ""} onClick=${() => retry(mail)}>Try again</button>`;
  return html`<${Head} title=${mail.subject} back=${back} actions=${acts}><${Status} of=${mail.status} /><//>
    <${Trouble} problem=${problem} />
    ${mail.status === "parked" && html`<${Note} kind="warn"><p>${mail.attempt_log.at(-1)?.outcome === "refused" ? "Refused for good" : "Given up"} after ${count(mail.attempts, "attempt")}: ${mail.last_error}.
      Mend what it says, then try again.</p><//>`}
    <${Section}><${Facts} of=${[
      ["To", mail.to],
      ["Message", html`${plain(mail.message)} <span class="soft">because of ${plain(mail.cause)}</span>`],
      ["Queued", html`<${Ago} at=${mail.created_at} />`],
      ["Sent", html`<${Ago} at=${mail.sent_at} missing="not yet" />`],
      mail.attempts > 0 && ["Attempts", mail.attempts],
      mail.provider_id && ["Named by the transport", mail.provider_id],
    ]} /><//>
    ${mail.attempt_log.length > 0 && html`<${Attempts} of=${mail.attempt_log} />`}
    ${mail.deliveries.length > 0 && html`<${Deliveries} of=${mail.deliveries} />`}
    <${Section} title="As it reads" class="mail" actions=${["html", "text"].map((way) => html`<button key=${way} aria-pressed=${shown === way ? "true" : "false"}
        onClick=${() => show(way)}>${way === "html" ? "Formatted" : "Plain text"}</button>`)}>
      ${shown === "html" ? html`<${MailFrame} markup=${mail.html} title=${mail.subject} />` : html`<pre tabindex="0">${mail.text}</pre>`}<//>
    <p class="soft">Here, links that open accounts are left out and licence keys are shortened: the reader gets them whole.
      ${out(mail) && " A mail that was sent is not sent again from here; a licence is mailed again from its own page."}</p>`;
}

/** The newest attempts, the last one first. @param {{ of: Attempt[] }} props */
function Attempts({ of }) {
  return html`<${Section} title="Attempts"><ol class="history">${[...of].reverse().map((attempt) => html`<li key=${attempt.at}>
    <span class="when"><${Ago} at=${attempt.at} /></span>
    <span><span><strong>${plain(attempt.outcome)}</strong> <span class="soft">by ${attempt.transport}</span></span>
      <span class="details"><span>${attempt.answer}</span></span></span></li>`)}</ol><//>`;
}

/** What the transport reported since, the last report first. @param {{ of: Delivery[] }} props */
function Deliveries({ of }) {
  return html`<${Section} title="Reported since"><ol class="history">${[...of].reverse().map((report, index) => html`<li key=${index}>
    <span class="when"><${Ago} at=${report.at} /></span>
    <span><strong>${plain(report.kind)}</strong>${report.detail && html`<span class="details"><span>${report.detail}</span></span>`}</span></li>`)}</ol><//>`;
}

/**
 * @typedef {{ items: { message: string, overridden: string[] }[], logo: boolean, broken: { file: string, why: string }[] }} TemplateList
 * @typedef {{ message: string, subject: string, text: string, html: string }} Sample
 */

/** How each message reads, with sample data. */
function Templates() {
  const { data: all, problem } = usePoll(() => /** @type {Promise<TemplateList>} */ (call("GET", "/admin/email-templates")), 60_000, []);
  const [chosen, choose] = useState("verify_email");
  const { data: sample } = usePoll(() => /** @type {Promise<Sample>} */ (call("GET", `/admin/email-templates/${chosen}`)), 60_000, [chosen]);
  const [shown, show] = useState("html");
  const back = { href: "#/emails", title: "E-mails" };
  if (!all) return html`<${Head} title="Mail templates" back=${back} /><${Loading} problem=${problem} />`;
  const own = all.items.find((each) => each.message === chosen)?.overridden ?? [];
  return html`<${Head} title="Mail templates" back=${back} />
    <${Trouble} problem=${problem} />
    ${all.broken.length > 0 && html`<${Note} kind="warn"><p>These files of the folder <code>mail-templates</code> cannot be used; the built-in texts stand in:</p>
      <ul>${all.broken.map((each) => html`<li key=${each.file}><code>${each.file}</code>: ${each.why}</li>`)}</ul><//>`}
    <${Section}><${Facts} of=${[
      ["Message", html`<select aria-label="Message" value=${chosen} onChange=${(/** @type {Event} */ event) => choose(/** @type {HTMLSelectElement} */ (event.target).value)}>
        ${all.items.map((each) => html`<option key=${each.message} value=${each.message}>${plain(each.message)}</option>`)}</select>`],
      ["Your own texts", own.length ? own.join(", ") : html`<span class="soft">none: the built-in ones are sent</span>`],
      ["Logo", all.logo ? "goes with every mail; it is not shown here" : html`<span class="soft">none</span>`],
      ["Subject", sample?.subject],
    ]} /><//>
    <${Section} title="With sample data" class="mail" actions=${["html", "text"].map((way) => html`<button key=${way} aria-pressed=${shown === way ? "true" : "false"}
        onClick=${() => show(way)}>${way === "html" ? "Formatted" : "Plain text"}</button>`)}>
      ${!sample ? html`<${Loading} />` : shown === "html" ? html`<${MailFrame} markup=${sample.html} title=${sample.subject} />` : html`<pre tabindex="0">${sample.text}</pre>`}<//>`;
}
