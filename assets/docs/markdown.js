// The little Markdown that descriptions use: paragraphs, lists, code. Everything else stays text.

import { html } from "../admin/lib.js";

/** @param {{ text: string }} props */
export function Markdown({ text }) {
  const blocks = text.trim().split(/\n\s*\n/).filter(Boolean);
  return blocks.map((block) => {
    const lines = block.split("\n");
    if (block.startsWith("```")) return html`<pre class="code">${lines.slice(1).join("\n").replace(/```\s*$/, "")}</pre>`;
    if (/^#+ /.test(block)) return html`<h3>${inline(block.replace(/^#+ /, ""))}</h3>`;
    if (lines.every((line) => /^\s*([-*]|\s)\s/.test(line))) {
      const items = block.split(/^\s*[-*]\s+/m).filter((item) => item.trim());
      return html`<ul>${items.map((item) => html`<li>${inline(item)}</li>`)}</ul>`;
    }
    return html`<p>${inline(block)}</p>`;
  });
}

/** Code spans and emphasis within a line. @param {string} text */
export function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`") && part.length > 2) return html`<code>${part.slice(1, -1)}</code>`;
    if (part.startsWith("**") && part.length > 4) return html`<strong>${part.slice(2, -2)}</strong>`;
    return part;
  });
}
