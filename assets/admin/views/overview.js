// What an operator wants to see first.
import { html } from "../lib.js";
import { Head } from "../ui.js";
export default function Overview() { return html`<${Head} title="Overview" />`; }
