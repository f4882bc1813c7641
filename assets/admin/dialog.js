// Questions to the person: a form or a confirmation in a native dialog, asked for in one line.
//
//   await ask({ title: "Revoke", text: "…", action: "Revoke", danger: true, typed: "CODITECT-…", submit: () => call(…) })
//
// The dialog stays open until `submit` has succeeded; what the server refuses is shown in it, next to
// its field where it names one. Escape and Cancel close it; the focus returns to where it was. It closes, too, when
// one goes elsewhere, unless it is at work: what comes of that is still to be told.

import { Field } from "./form.js";
import { html, signal, useEffect, useRef, useState } from "./lib.js";
import { useAction } from "./poll.js";
import { Trouble } from "./ui.js";

/** @typedef {import("./form.js").FieldSpec} FieldSpec */
/** @typedef {Record<string, any>} Values texts by field name; of a check, whether it is set */

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {any} [text] what will happen
 * @property {FieldSpec[] | ((values: Values) => FieldSpec[])} [fields]
 * @property {Values} [values] to begin with
 * @property {(values: Values, name: string) => Values} [change] what follows from a change of a field
 * @property {string} [action] the word on the button; left out: there is only something to read
 * @property {boolean} [danger] it cannot be taken back
 * @property {string} [typed] has to be typed before it can be done
 * @property {boolean} [wide]
 * @property {(values: Values) => Promise<any>} [submit]
 */

/** @typedef {Question & { id: number, at: string, working: boolean, settle: (value: any) => void }} Asked `at`: the address it was asked at */

const asked = signal(/** @type {Asked[]} */ ([]));
let made = 0;

/** Asks. @param {Question} question @returns {Promise<any>} what `submit` gave (without one: the values); undefined when cancelled */
export function ask(question) {
  return new Promise((resolve) => {
    made += 1;
    const id = made;
    /** @param {any} value */
    const settle = (value) => {
      asked.value = asked.value.filter((each) => each.id !== id);
      resolve(value);
    };
    asked.value = [...asked.value, { ...question, id, at: location.hash, working: false, settle }];
  });
}

/** Takes back what was asked, but for what is at work. @param {(question: Asked) => boolean} [which] left out: everything */
export function withdraw(which = () => true) {
  for (const each of asked.value) if (!each.working && which(each)) each.settle(undefined);
}

for (const event of ["popstate", "hashchange"]) addEventListener(event, () => withdraw((each) => each.at !== location.hash));

/** Where the questions appear: once, in the shell. */
export function Dialogs() {
  return asked.value.map((each) => html`<${Form} key=${each.id} question=${each} />`);
}

/**
 * A modal dialog. @param {{ title: any, onClose: () => void, wide?: boolean, children?: any }} props
 */
export function Dialog({ title, onClose, wide = false, children }) {
  const ref = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const from = /** @type {HTMLElement | null} */ (document.activeElement);
    const box = ref.current;
    box.showModal();
    box.querySelector("[data-first]")?.focus();
    return () => {
      box.close();
      if (from?.isConnected) from.focus();
    };
  }, []);
  return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-labelledby="dialog-title"
      onCancel=${(/** @type {Event} */ event) => { event.preventDefault(); onClose(); }}>
    <header><h2 id="dialog-title">${title}</h2><button type="button" class="plain close" aria-label="Close" onClick=${onClose}>×</button></header>
    ${children}</dialog>`;
}

/** @param {{ question: Asked }} props */
function Form({ question }) {
  const { title, text, fields = [], action, danger = false, typed, wide, change, submit, settle } = question;
  const [values, setValues] = useState(question.values ?? {});
  const [word, setWord] = useState("");
  const shown = typeof fields === "function" ? fields(values) : fields;
  const { run, busy, problem } = useAction(async () => {
    question.working = true;
    try {
      const value = submit ? await submit(values) : values;
      settle(value ?? true);
    } finally {
      question.working = false;
    }
  });
  const wrong = problem?.fields ?? {};
  const cancel = () => settle(undefined);
  /** @param {string} name @param {any} value */
  const set = (name, value) => setValues((/** @type {Values} */ last) => {
    const next = { ...last, [name]: value };
    return change ? change(next, name) : next;
  });
  return html`<${Dialog} title=${title} wide=${wide} onClose=${cancel}>
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      ${text && html`<div class="said">${text}</div>`}
      <${Trouble} problem=${problem} shown=${shown.map((each) => each.name)} />
      <div class="fields">${shown.map(({ name, ...field }, index) => html`<${Field} key=${name} id=${`f-${name}`} ...${field} name=${name}
        value=${values[name] ?? ""} wrong=${wrong[name]} onValue=${(/** @type {any} */ value) => set(name, value)}
        data-first=${index === 0 ? true : undefined} />`)}</div>
      ${typed && html`<${Field} id="typed" label=${html`Type <code>${typed}</code> to confirm`} value=${word} onValue=${setWord}
        autocomplete="off" spellcheck=${false} data-first=${shown.length ? undefined : true} />`}
      <footer>
        <button type="button" onClick=${cancel} data-first=${danger && !typed && !shown.length ? true : undefined}>${action ? "Cancel" : "Close"}</button>
        ${action && html`<button class=${danger ? "danger" : "main"} disabled=${busy || (typed && word.trim() !== typed)}
          data-first=${danger || typed || shown.length ? undefined : true}>${busy ? "Working…" : action}</button>`}
      </footer>
    </form><//>`;
}
