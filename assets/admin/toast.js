// What was done, said in a corner and, where it can be, undone from there.

import { Problem } from "./api.js";
import { html, signal, useEffect, useRef } from "./lib.js";

const SHOWN_MAX = 4;
const STAYS_MS = 6000;
/** Long enough to read what was done and to think better of it. */
const UNDO_STAYS_MS = 12_000;

/** @typedef {{ id: number, text: any, tone: string, undo?: () => Promise<any> }} Toast */

const toasts = signal(/** @type {Toast[]} */ ([]));
let made = 0;

/**
 * Says something in passing. @param {any} text
 * @param {{ tone?: "good" | "bad", undo?: () => Promise<any> }} [how] `undo` takes it back
 */
export function toast(text, { tone = "good", undo } = {}) {
  made += 1;
  toasts.value = [...toasts.value, { id: made, text, tone, undo }].slice(-SHOWN_MAX);
}

/**
 * Does something and says how it went.
 * @template T
 * @param {() => Promise<T>} act
 * @param {{ done?: any, undo?: () => Promise<any> }} [say] `done`: what to say then
 * @returns {Promise<T | undefined>} undefined when it was refused
 */
export async function attempt(act, { done, undo } = {}) {
  try {
    const value = await act();
    if (done) toast(done, { undo });
    return value;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast(error.message, { tone: "bad" });
  }
}

/** @param {number} id */
function dismiss(id) {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${toasts.value.map((each) => html`<${One} key=${each.id} ...${each} />`)}</div>`;
}

/** @param {Toast} props */
function One({ id, text, tone, undo }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    // It stays while the pointer or the keyboard is on it.
    let timer = 0;
    const wait = () => {
      timer = setTimeout(() => (box.current?.matches(":hover, :focus-within") ? wait() : dismiss(id)), undo || tone === "bad" ? UNDO_STAYS_MS : STAYS_MS);
    };
    wait();
    return () => clearTimeout(timer);
  }, []);
  const takeBack = () => {
    dismiss(id);
    if (undo) attempt(undo, { done: "Undone." });
  };
  return html`<div class=${`toast ${tone}`} ref=${box}><span>${text}</span>
    ${undo && html`<button class="plain" onClick=${takeBack}>Undo</button>`}
    <button class="plain close" aria-label="Dismiss" onClick=${() => dismiss(id)}>×</button></div>`;
}
