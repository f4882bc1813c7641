// Labelled fields, each with its hint and what is wrong with it.

import { html } from "./lib.js";

/**
 * @typedef {object} FieldSpec
 * @property {string} name as the API calls it, so that its errors find their place
 * @property {string} label
 * @property {"text" | "email" | "password" | "number" | "date" | "money" | "select" | "area" | "check"} [type]
 * @property {any} [hint]
 * @property {boolean} [optional] may be left empty
 * @property {boolean} [half] shares its row with another
 * @property {[string, string][]} [options] of a select: value and words
 * @property {number} [min]
 * @property {number} [max]
 * @property {string} [placeholder]
 * @property {string} [autocomplete] what the browser may fill in
 */

/**
 * A labelled input.
 * @param {{ id: string, label: string, type?: string, hint?: any, wrong?: string, value: any,
 *   onValue: (value: any) => void, inputRef?: any, optional?: boolean, half?: boolean, options?: [string, string][], [attribute: string]: any }} props
 */
export function Field({ id, label, hint, wrong, onValue, inputRef, optional = false, options, half, type = "text", value, ...rest }) {
  const described = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  const shared = {
    id, name: id, ref: inputRef, required: !optional && type !== "check", ...rest,
    "aria-invalid": wrong ? "true" : undefined,
    "aria-describedby": described || undefined,
    [type === "select" ? "onChange" : "onInput"]: (/** @type {any} */ event) => onValue(event.currentTarget.value),
  };
  const words = html`<label for=${id}>${label}${optional && html`<span class="soft optional"> optional</span>`}</label>`;
  let control;
  if (type === "select") {
    control = html`<select ...${shared} value=${value}>${(options ?? []).map(([each, text]) => html`<option key=${each} value=${each} selected=${each === value}>${text}</option>`)}</select>`;
  } else if (type === "area") {
    control = html`<textarea rows="3" ...${shared} value=${value}></textarea>`;
  } else if (type === "check") {
    control = html`<input type="checkbox" ...${shared} checked=${Boolean(value)} onInput=${undefined}
      onChange=${(/** @type {any} */ event) => onValue(event.currentTarget.checked)} />`;
  } else if (type === "money") {
    control = html`<input inputmode="decimal" autocomplete="off" ...${shared} value=${value} />`;
  } else {
    control = html`<input type=${type} autocomplete="off" ...${shared} value=${value} />`;
  }
  return html`<div class=${`field ${type} ${half ? "half" : ""}`}>
    ${type === "check" ? html`${control} ${words}` : html`${words}${control}`}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${wrong && html`<p class="wrong" id=${`${id}-wrong`}>${wrong}</p>`}
  </div>`;
}
