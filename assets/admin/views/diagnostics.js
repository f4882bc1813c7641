// Diagnostics: the same checks as `coditect doctor`, with what to do, and the text for a support request.

import { LONG_MS, call, keep, serverNow } from "../api.js";
import { count, day } from "../format.js";
import { html } from "../lib.js";
import { usePoll } from "../poll.js";
import { Ago, Copy, Head, Loading, Note, Section, Status, Trouble } from "../ui.js";

/**
 * @typedef {"ok" | "warning" | "problem"} State
 * @typedef {object} Diagnosis
 * @property {State} state the worst of all
 * @property {string} version
 * @property {string} data the data folder
 * @property {{ name: string, state: State, found: string, advice?: string | null }[]} checks
 * @property {string} text
 */

async function examine() {
  const diagnosis = /** @type {Diagnosis} */ (await call("GET", "/admin/diagnostics", undefined, { timeout: LONG_MS }));
  return { ...diagnosis, at: new Date(serverNow()).toISOString() };
}

export default function Diagnostics() {
  // Looking costs the server a walk through its whole database: once, and when asked to.
  const { data, problem, again } = usePoll(examine, 0);
  return html`<${Head} title="Diagnostics" actions=${html`<button onClick=${again}>Check again</button>`}>
      ${data && html`<span class="soft">checked <${Ago} at=${data.at} /></span>`}<//>
    <${Trouble} problem=${problem} />
    ${!data && !problem && html`<${Section}><${Loading} /><//>`}
    ${data && html`<${Verdict} ...${data} />
      <${Section} title="Checks"><ul class="checks">${data.checks.map((check) => html`<li key=${check.name} class=${check.state}>
        <${Status} of=${check.state} /><h3>${check.name}</h3>
        <div><p>${check.found}</p>${check.advice && html`<p class="advice">${check.advice}</p>`}</div></li>`)}</ul><//>
      <${Section} title="For a support request" actions=${html`<${Copy} text=${data.text} label="Copy the text" />
          <button onClick=${() => keep(new Blob([data.text], { type: "text/plain;charset=utf-8" }), `coditect-diagnostics-${day(data.at)}.txt`)}>Save as a file</button>`}>
        <p class="text">Paste this into the request. It holds no secret and no licence key.</p>
        <pre class="report" tabindex="0" aria-label="Diagnostics as text">${data.text}</pre><//>`}`;
}

/** @param {Diagnosis} props */
function Verdict({ state, checks, version }) {
  const bad = checks.filter((check) => check.state === "problem").length, odd = checks.filter((check) => check.state === "warning").length;
  if (state === "ok") return html`<${Note} kind="good"><p>All ${count(checks.length, "check")} are well. Version ${version}.</p><//>`;
  return html`<${Note} kind=${state === "problem" ? "bad" : "warn"}><p>${bad > 0 && count(bad, "problem")}${bad > 0 && odd > 0 && " and "}${odd > 0 && count(odd, "warning")}
    among ${count(checks.length, "check")}. Version ${version}.</p><//>`;
}
