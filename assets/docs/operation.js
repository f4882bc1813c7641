// One operation: what it takes, what it answers, and a place to try it.

import { html } from "../admin/lib.js";
import { Copy } from "../admin/ui.js";
import { Markdown, inline } from "./markdown.js";
import { DEPTH_MAX } from "./openapi.js";
import { TryIt } from "./try.js";

/** @typedef {import("./openapi.js").Spec} Spec @typedef {import("./openapi.js").Operation} Operation */

/** @param {{ spec: Spec, operation: Operation }} props */
export function OperationPage({ spec, operation }) {
  const { method, path, summary, description, parameters, body, responses } = operation;
  return html`<article>
    <h1>${summary || `${method} ${path}`}</h1>
    <p class="endpoint"><span class=${`verb ${method.toLowerCase()}`}>${method}</span> <code>${spec.base}${path}</code>
      ${" "}<${Copy} text=${`${location.origin}${location.pathname}#${operation.id}`} label="Copy link" />
      ${" "}<button type="button" class="plain" onClick=${goTry}>Try it</button></p>
    ${operation.deprecated && html`<div class="note warn"><p>Deprecated: it works, and new code should not use it.</p></div>`}
    <${Markdown} text=${description} />
    <p class="soft"><${Credentials} spec=${spec} security=${operation.security} /></p>
    ${parameters.length > 0 && html`<section><h2>Parameters</h2><${Parameters} spec=${spec} parameters=${parameters} /></section>`}
    ${body && html`<section><h2>Request</h2><p class="soft"><code>${body.type}</code>${body.required ? "" : ", may be left out"}</p>
      <${SchemaView} spec=${spec} schema=${body.schema} />
      <${Example} value=${body.example ?? spec.example(body.schema)} /></section>`}
    <section><h2>Answers</h2>${responses.map((each, n) => html`<${Response} key=${each.status} spec=${spec} response=${each} first=${n === 0} />`)}</section>
    <${TryIt} spec=${spec} operation=${operation} /></article>`;
}

/** The hash names the operation, so this is a button and no link. */
function goTry() {
  const section = document.querySelector(".try");
  section?.scrollIntoView();
  /** @type {HTMLElement | null | undefined} */ (section?.querySelector("input, select, textarea, button"))?.focus({ preventScroll: true });
}

/** @param {{ spec: Spec, security: string[][] }} props */
function Credentials({ spec, security }) {
  if (!security.length) return "Needs no credential.";
  const ways = security.map((all) => (all.length ? all.map((name) => spec.credential(name)).join(" and ") : "none"));
  return html`Credential: ${[...new Set(ways)].join(", or ")}.`;
}

/** @param {{ spec: Spec, parameters: import("./openapi.js").Parameter[] }} props */
function Parameters({ spec, parameters }) {
  return html`<ul class="members">${parameters.map((each) => html`<li key=${each.in + each.name}>
    <${Member} spec=${spec} name=${each.name} schema=${each.schema} required=${each.required ?? false}
      where=${each.in} description=${each.description} path=${[]} /></li>`)}</ul>`;
}

/** @param {{ spec: Spec, response: Operation["responses"][number], first: boolean }} props */
function Response({ spec, response, first }) {
  const { status, description, type, schema, headers } = response;
  const good = status.startsWith("2");
  return html`<details class="answer" open=${first}>
    <summary><span class=${`tag ${good ? "good" : status.startsWith("5") ? "bad" : "warn"}`}>${status}</span> <span>${inline(firstLine(description))}</span></summary>
    <div>${description.includes("\n") && html`<${Markdown} text=${description} />`}
      ${headers.map(([name, text]) => html`<p class="soft" key=${name}><code>${name}</code> ${text}</p>`)}
      ${schema ? html`<p class="soft"><code>${type}</code></p><${SchemaView} spec=${spec} schema=${schema} />
        <${Example} value=${response.example ?? spec.example(schema)} />` : html`<p class="soft">No body.</p>`}</div></details>`;
}

/** @param {string} text */
function firstLine(text) {
  return text.trim().split("\n")[0];
}

/** @param {{ value: any }} props */
function Example({ value }) {
  if (value === null || value === undefined) return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return html`<figure class="example"><figcaption><span class="soft">Example</span> <${Copy} text=${text} /></figcaption>
    <pre class="code" tabindex="0">${text}</pre></figure>`;
}

/**
 * The members of an object, or what else a schema is.
 * @param {{ spec: Spec, schema: any, path?: string[] }} props `path`: the references above, so that a
 *   schema that contains itself ends
 */
function SchemaView({ spec, schema, path = [] }) {
  const here = schema?.$ref ? [...path, schema.$ref] : path;
  const flat = spec.merged(schema);
  const choices = flat.oneOf ?? flat.anyOf;
  if (choices) {
    return html`<ul class="members">${choices.map((/** @type {any} */ each, /** @type {number} */ n) => html`<li key=${n}>
      <p class="soft">${n ? "or" : "either"} ${spec.typeOf(each)}</p><${SchemaView} spec=${spec} schema=${each} path=${here} /></li>`)}</ul>`;
  }
  if (flat.type === "array") return html`<p class="soft">A list; each item:</p><${SchemaView} spec=${spec} schema=${flat.items ?? {}} path=${here} />`;
  const must = (/** @type {string} */ name) => (flat.required ?? []).includes(name);
  const members = Object.entries(flat.properties ?? {}).sort(([a], [b]) => Number(must(b)) - Number(must(a)));
  if (!members.length) return html`<p class="soft">${spec.typeOf(flat)}${flat.description ? `: ${flat.description}` : ""}</p>`;
  return html`<ul class="members">${members.map(([name, each]) => html`<li key=${name}>
    <${Member} spec=${spec} name=${name} schema=${each} required=${must(name)} path=${here} /></li>`)}</ul>`;
}

/** @param {{ spec: Spec, name: string, schema: any, required: boolean, where?: string, description?: string, path: string[] }} props */
function Member({ spec, name, schema, required, where, description, path }) {
  const flat = spec.merged(schema);
  const inner = nested(spec, schema);
  const cycle = inner && inner.$ref && path.includes(inner.$ref);
  const rules = constraints(flat);
  return html`<p><code class="name">${name}</code> <span class="soft">${spec.typeOf(schema)}${where ? `, in the ${where}` : ""}</span>
      ${" "}${required ? html`<span class="must">required</span>` : ""}</p>
    ${flat.enum?.length > 1 && html`<p class="values">${flat.enum.map((/** @type {any} */ each) => html`<code key=${each}>${String(each)}</code> `)}</p>`}
    ${(description || flat.description) && html`<div class="about"><${Markdown} text=${description || flat.description} /></div>`}
    ${rules && html`<p class="soft">${rules}</p>`}
    ${inner && !cycle && path.length < DEPTH_MAX && html`<details><summary class="soft">Members</summary>
      <${SchemaView} spec=${spec} schema=${inner} path=${path} /></details>`}`;
}

/** The object within a member, if it is one or a list of them. @param {Spec} spec @param {any} schema */
function nested(spec, schema) {
  const flat = spec.merged(schema);
  const item = flat.type === "array" ? flat.items : schema;
  return Object.keys(spec.merged(item ?? {}).properties ?? {}).length ? item : null;
}

/** @param {any} schema */
function constraints(schema) {
  const rules = [];
  if (schema.minLength !== undefined) rules.push(`at least ${characters(schema.minLength)}`);
  if (schema.maxLength !== undefined) rules.push(`at most ${characters(schema.maxLength)}`);
  if (schema.minimum !== undefined) rules.push(`${schema.exclusiveMinimum === true ? "more than" : "at least"} ${schema.minimum}`);
  if (schema.maximum !== undefined) rules.push(`${schema.exclusiveMaximum === true ? "less than" : "at most"} ${schema.maximum}`);
  if (schema.minItems !== undefined) rules.push(`at least ${schema.minItems} items`);
  if (schema.maxItems !== undefined) rules.push(`at most ${schema.maxItems} items`);
  if (schema.pattern) rules.push(`matches ${schema.pattern}`);
  if (schema.default !== undefined && schema.default !== null) rules.push(`default ${JSON.stringify(schema.default)}`);
  const text = rules.join(", ");
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** @param {number} n */
function characters(n) {
  return n === 1 ? "1 character" : `${n} characters`;
}
