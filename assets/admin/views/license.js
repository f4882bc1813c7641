// One licence.
import { html } from "../lib.js";
/** @param {{ id: string }} props */
export function License({ id }) { return html`<p>${id}</p>`; }
