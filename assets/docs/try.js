// Try an operation out: fill in, send to this server, see the answer; or take it away as curl.

import { html, signal, useState } from "../admin/lib.js";
import { Copy } from "../admin/ui.js";

/** @typedef {import("./openapi.js").Spec} Spec @typedef {import("./openapi.js").Operation} Operation */

/** The bearer token of the field at the top. In memory only: it is gone with the page. */
export const token = signal("");

/** What is shown of an answer at most; the rest is for a download. */
const SHOWN_MAX = 200_000;

/** @param {{ spec: Spec, operation: Operation }} props */
export function TryIt({ spec, operation }) {
  const { parameters, body } = operation;
  const settable = parameters.filter((each) => each.in !== "cookie");
  const [values, setValues] = useState(/** @type {Record<string, string>} */ ({}));
  const [text, setText] = useState(() => (body ? pretty(body.example ?? spec.example(body.schema, false)) : ""));
  const [busy, setBusy] = useState(false);
  const [answer, setAnswer] = useState(/** @type {Answer | null} */ (null));
  const request = buildRequest(spec, operation, values, text);
  const missing = settable.filter((each) => each.required && !values[each.in + each.name]).map((each) => each.name);
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    setAnswer(await exchange(request));
    setBusy(false);
  };
  return html`<section class="try"><h2 id="try">Try it</h2>
    <form onSubmit=${send} aria-labelledby="try">
      ${settable.map((each) => {
        const key = each.in + each.name;
        const options = spec.merged(each.schema).enum;
        const set = (/** @type {any} */ event) => setValues({ ...values, [key]: event.currentTarget.value });
        return html`<div class="field" key=${key}><label for=${`p-${key}`}><code>${each.name}</code> <span class="soft">${each.in}${each.required ? ", required" : ""}</span></label>
          ${options ? html`<select id=${`p-${key}`} value=${values[key] ?? ""} onChange=${set}><option value="">(none)</option>${options.map((/** @type {any} */ o) => html`<option key=${o} value=${o}>${o}</option>`)}</select>`
            : html`<input id=${`p-${key}`} value=${values[key] ?? ""} autocomplete="off" spellcheck=${false} onInput=${set} />`}</div>`;
      })}
      ${body && html`<div class="field"><label for="body">Body</label><textarea id="body" class="mono" spellcheck=${false} autocomplete="off"
          rows=${Math.min(Math.max(text.split("\n").length + 1, 4), 22)} value=${text} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}></textarea>
        ${body.type.includes("json") && notJson(text) && html`<p class="wrong">${notJson(text)}</p>`}</div>`}
      ${operation.security.length > 0 && !token.value && html`<p class="soft">This needs a credential: paste a bearer token at the top of the page.</p>`}
      <div class="send"><button class="main" disabled=${busy || missing.length > 0}>${busy ? "Sending…" : "Send"}</button>
        ${missing.length > 0 && html`<span class="soft">Fill in ${missing.join(", ")} first.</span>`}
        <${Copy} text=${asCurl(request)} label="Copy as curl" /></div>
    </form>
    <div aria-live="polite">${answer && html`<${AnswerView} answer=${answer} />`}</div></section>`;
}

/**
 * @typedef {{ method: string, path: string, headers: Record<string, string>, body: string | undefined }} TheRequest
 * @typedef {{ status: number, statusText: string, ms: number, headers: [string, string][], body: string, failure?: string }} Answer
 */

/** @param {Spec} spec @param {Operation} operation @param {Record<string, string>} values @param {string} text @returns {TheRequest} */
function buildRequest(spec, { method, path, parameters, body }, values, text) {
  const query = new URLSearchParams();
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  let filled = path;
  for (const { name, in: where } of parameters) {
    const value = values[where + name];
    if (!value) continue;
    if (where === "path") filled = filled.replaceAll(`{${name}}`, encodeURIComponent(value));
    if (where === "query") query.append(name, value);
    if (where === "header") headers[name] = value;
  }
  if (token.value) headers.Authorization = `Bearer ${token.value}`;
  if (body) headers["Content-Type"] = body.type.split(";")[0];
  const asked = query.toString();
  return { method, path: spec.base + filled + (asked && `?${asked}`), headers, body: body ? text : undefined };
}

/** @param {TheRequest} request @returns {Promise<Answer>} */
async function exchange({ method, path, headers, body }) {
  const begun = performance.now();
  try {
    const response = await fetch(path, { method, headers, body, credentials: "omit", cache: "no-store" });
    const text = await response.text();
    return { status: response.status, statusText: response.statusText, ms: performance.now() - begun, headers: [...response.headers], body: text };
  } catch (error) {
    const failure = `Nothing came back: ${/** @type {Error} */ (error).message}. Is the server running?`;
    return { status: 0, statusText: "", ms: 0, headers: [], body: "", failure };
  }
}

/** @param {{ answer: Answer }} props */
function AnswerView({ answer }) {
  if (answer.failure) return html`<div class="note bad" role="alert"><p>${answer.failure}</p></div>`;
  const tone = answer.status < 300 ? "good" : answer.status < 500 ? "warn" : "bad";
  const body = prettyText(answer.body);
  return html`<div class="came">
    <p><span class=${`tag ${tone}`}>${answer.status}</span> ${answer.statusText} <span class="soft">in ${answer.ms.toFixed(0)} ms</span></p>
    <details><summary>${answer.headers.length} headers</summary><pre class="code" tabindex="0">${answer.headers.map(([name, value]) => `${name}: ${value}`).join("\n")}</pre></details>
    ${body ? html`<figure class="example"><figcaption><span class="soft">Body</span> <${Copy} text=${answer.body} /></figcaption>
      <pre class="code" tabindex="0">${body.slice(0, SHOWN_MAX)}${body.length > SHOWN_MAX ? "\n…" : ""}</pre></figure>` : html`<p class="soft">No body.</p>`}</div>`;
}

/** The request as a shell command; the token is left to the shell. @param {TheRequest} request */
function asCurl({ method, path, headers, body }) {
  const parts = [`curl -X ${method} ${quote(location.origin + path)}`];
  for (const [name, value] of Object.entries(headers)) {
    // A token in a shell's history is a token lost.
    parts.push(name === "Authorization" ? '-H "Authorization: Bearer $TOKEN"' : `-H ${quote(`${name}: ${value}`)}`);
  }
  if (body !== undefined) parts.push(`--data ${quote(body)}`);
  return parts.join(" \\\n  ");
}

/** @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {any} value */
function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** @param {string} text */
function prettyText(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {string} text */
function notJson(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `This is not JSON yet: ${/** @type {Error} */ (error).message}`;
  }
}
