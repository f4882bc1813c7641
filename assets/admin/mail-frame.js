// A mail's markup, shown without trusting it.
//
// It is read into a document that is never shown and runs nothing, and what is on the lists below is built anew in a
// frame whose sandbox runs no script either. The page's policy refuses style attributes and event handlers, wherever they
// are read, and says so on the console; it allows properties that are set one by one. So those attributes are given another
// name first. Nothing that could load anything is among the properties.

import { html, useEffect, useRef } from "./lib.js";

const TAGS = new Set(["A", "B", "BLOCKQUOTE", "BR", "CODE", "DIV", "EM", "H1", "H2", "H3", "HR", "I", "LI", "OL", "P", "PRE", "SMALL",
  "SPAN", "STRONG", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "U", "UL"]);
/** What these hold is no text for a reader. */
const DROPPED = new Set(["SCRIPT", "STYLE", "TITLE", "HEAD", "TEMPLATE", "NOSCRIPT", "IFRAME", "OBJECT", "SVG", "MATH"]);
const STYLES = ["border", "border-bottom", "border-collapse", "border-left", "border-radius", "border-right", "border-top",
  "font", "font-family", "font-size", "font-style", "font-weight", "letter-spacing", "line-height", "margin", "max-width",
  "padding", "text-align", "text-decoration", "vertical-align", "white-space", "width"];
const STYLE = "data-style";
const HEIGHT_MAX_PX = 900;
/** A mail nests a few levels deep; what nests deeper is none of ours. */
const DEPTH_MAX = 40;

/** @param {{ markup: string, title: string }} props */
export function MailFrame({ markup, title }) {
  const frame = useRef(/** @type {HTMLIFrameElement | null} */ (null));
  const fill = () => {
    const shown = frame.current?.contentDocument;
    if (!frame.current || !shown?.body) return;
    const read = new DOMParser().parseFromString(markup.replace(/\s(style|on[a-z]+)\s*=/gi, " data-$1="), "text/html");
    shown.title = title;
    shown.documentElement.lang = read.documentElement.lang || "en";
    dress(shown.documentElement, "color-scheme", "light dark");
    shown.body.replaceChildren();
    style(read.body, shown.body);
    copy(read.body, shown.body, 0);
    // As high as what it shows, which is known once it is low.
    dress(frame.current, "height", "0");
    dress(frame.current, "height", `${Math.min(shown.documentElement.scrollHeight + 2, HEIGHT_MAX_PX)}px`);
  };
  useEffect(fill, [markup, title]);
  // Some browsers put the empty document there late.
  return html`<iframe ref=${frame} class="mail-frame" sandbox="allow-same-origin" title=${`The mail: ${title}`} onLoad=${fill}></iframe>`;
}

/** @param {Node} from @param {HTMLElement} into @param {number} depth */
function copy(from, into, depth) {
  if (depth > DEPTH_MAX) return;
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) into.append(node.textContent ?? "");
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    const element = /** @type {HTMLElement} */ (node);
    const tag = element.tagName.toUpperCase();
    if (DROPPED.has(tag)) continue;
    const made = TAGS.has(tag) ? into.ownerDocument.createElement(tag) : into;
    if (made !== into) {
      style(element, made);
      // A link shows where it would lead, and leads nowhere from here.
      if (tag === "A") dress(made, "text-decoration", "underline").title = element.getAttribute("href") ?? "";
      into.append(made);
    }
    copy(element, made, depth + 1);
  }
}

/** @param {HTMLElement} from @param {HTMLElement} into */
function style(from, into) {
  for (const declaration of (from.getAttribute(STYLE) ?? "").split(";")) {
    const [name, ...rest] = declaration.split(":");
    const value = rest.join(":").trim();
    if (STYLES.includes(name.trim()) && !/url|image|expression|\\/i.test(value)) dress(into, name.trim(), value);
  }
}

/** @param {HTMLElement} element @param {string} name @param {string} value */
function dress(element, name, value) {
  element.style.setProperty(name, value);
  return element;
}
