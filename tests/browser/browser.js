// The browser, and pages that fail a test for whatever a person at the console would frown at.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { mkdirSync } from "node:fs";

import { chromium } from "playwright-core";

import { SCREENSHOTS } from "./server.js";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const DESK = { width: 1280, height: 800 };
/** The narrowest phone that is still sold in numbers. */
export const PHONE = { width: 390, height: 844 };

/** Starts it, with a profile that is empty and its own. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
}

/**
 * One page in a browser context of its own, watched: every console message that warns, every error, every request to
 * anybody else, every refusal by the policy and every failed request is noted, and `clean` fails for it.
 */
export class Watched {
  /** @param {import("playwright-core").Browser} browser @param {string} origin */
  static async open(browser, origin, options = {}) {
    const context = await browser.newContext({
      baseURL: origin, viewport: DESK, reducedMotion: "reduce", colorScheme: "light", locale: "en-GB", timezoneId: "UTC",
      permissions: ["clipboard-read", "clipboard-write"], ...options,
    });
    context.setDefaultTimeout(10_000);
    const watched = new Watched(context, await context.newPage(), origin);
    await watched.watch();
    return watched;
  }

  /**
   * @param {import("playwright-core").BrowserContext} context
   * @param {import("playwright-core").Page} page
   * @param {string} origin
   */
  constructor(context, page, origin) {
    this.context = context;
    this.page = page;
    this.origin = origin;
    /** @type {string[]} */
    this.found = [];
    /** @type {RegExp[]} */
    this.expected = [];
  }

  async watch() {
    const { context, page } = this;
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} refused ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      // The browser repeats each failed request here; `response` below says more of it.
      if (message.text().startsWith("Failed to load resource")) return;
      this.note(`console ${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.note(`error on the page: ${error.stack ?? error}`));
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== this.origin && !["data:", "blob:", "about:"].includes(url.protocol)) this.note(`request to another origin: ${url}`);
    });
    context.on("response", (response) => {
      if (response.status() >= 400) this.note(`${response.status()} ${response.request().method()} ${response.url().slice(this.origin.length)}`);
    });
    context.on("requestfailed", (request) => {
      const why = request.failure()?.errorText ?? "";
      // What was under way when the page was left.
      if (why !== "net::ERR_ABORTED") this.note(`${why} ${request.method()} ${request.url().slice(this.origin.length)}`);
    });
  }

  /** @param {string} what */
  note(what) {
    if (!this.expected.some((each) => each.test(what))) this.found.push(what);
  }

  /** From here on these are what the test is about: `401 POST /api/v1/auth/login`. @param {...RegExp} what */
  expect(...what) {
    this.expected.push(...what);
  }

  /** Fails when anything was noted. */
  clean() {
    const found = this.found.splice(0);
    if (found.length) throw new Error(`on ${this.page.url()}:\n  ${found.join("\n  ")}`);
  }

  /** Fails for each thing that a person with another way of reading or pointing would stumble over. */
  async accessible(where = this.page.url()) {
    await this.page.evaluate(AXE);
    const violations = await this.page.evaluate(async (rules) => {
      const { violations } = await /** @type {any} */ (globalThis).axe.run(document, {
        runOnly: rules, resultTypes: ["violations"], iframes: false,
      });
      return violations.map((/** @type {any} */ each) => {
        const nodes = each.nodes.map((/** @type {any} */ node) => `\n    ${node.html.slice(0, 200)}\n      ${(node.failureSummary ?? "").replace(/\n\s*/g, " ")}`);
        return `${each.id}: ${each.help}${nodes.slice(0, 5).join("")}`;
      });
    }, RULES);
    if (violations.length) throw new Error(`${where} is hard to use for some:\n  ${violations.join("\n  ")}`);
  }

  /** Fails when the page as a whole has to be pushed sideways. */
  async fits(where = this.page.url()) {
    const wide = await this.page.evaluate(() => {
      const room = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth <= room) return "";
      const out = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > room + 1);
      return `${document.documentElement.scrollWidth} px in ${room}: ${out.slice(0, 3).map((each) => each.outerHTML.slice(0, 120)).join("\n")}`;
    });
    if (wide) throw new Error(`${where} is wider than the screen: ${wide}`);
  }

  /** Waits until nothing on the page is loading. */
  async settled() {
    await this.page.waitForFunction(() => document.querySelector("h1") && !document.querySelector("[aria-busy=true]"));
  }

  /** A picture of the whole page. @param {string} name */
  async picture(name) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  }

  /** Looks at what is shown now in every way: light, dark, and on a phone. @param {string} name */
  async look(name) {
    for (const [way, colorScheme, size] of /** @type {const} */ ([["light", "light", DESK], ["dark", "dark", DESK], ["phone", "light", PHONE]])) {
      await this.page.emulateMedia({ colorScheme });
      await this.page.setViewportSize(size);
      await this.settled();
      await this.picture(`${name}-${way}`);
      await this.accessible(`${name} (${way})`);
      await this.fits(`${name} (${way})`);
    }
    await this.page.emulateMedia({ colorScheme: "light" });
    await this.page.setViewportSize(DESK);
  }

  close() {
    return this.context.close();
  }
}
