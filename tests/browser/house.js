// What all tests share: one server with records in it, one browser, and the operator who looks around.

import { test } from "node:test";

import { Api } from "./api.js";
import { Watched, launch } from "./browser.js";
import { Server } from "./server.js";

export const OPERATOR = { email: "olga@vendor.example", password: "seven-otters-under-glass", full_name: "Olga Operator" };

/** The shared server and browser; there from the first test to the last. */
export const house = {
  /** @type {Server} */
  server: /** @type {any} */ (null),
  /** @type {import("playwright-core").Browser} */
  browser: /** @type {any} */ (null),
};

export async function open() {
  [house.server, house.browser] = await Promise.all([Server.start(), launch()]);
}

export async function close() {
  await house.browser?.close();
  await house.server?.remove();
}

/** The API as the operator, who is made when a test that comes before set-up was left out. */
export async function operator(server = house.server) {
  const nobody = new Api(server.url);
  if ((await nobody.get("/setup")).needed) {
    const token = server.setupLink().split("=").pop();
    await nobody.post("/setup", { token, ...OPERATOR });
  }
  return nobody.signIn(OPERATOR.email, OPERATOR.password);
}

/** An account with a confirmed address. @param {string} email @param {string} full_name */
export async function confirmed(email, full_name) {
  await operator();
  const nobody = new Api(house.server.url);
  const user = await nobody.post("/auth/register", { email, password: OPERATOR.password, full_name });
  const mail = await house.server.mail(email, "verify-email?token=");
  await nobody.post("/auth/verify-email", { token: mail.match(/token=([A-Za-z0-9_-]+)/)?.[1] });
  return user;
}

/** The same, signed in. @param {string} email @param {string} full_name */
export async function customer(email, full_name) {
  await confirmed(email, full_name);
  return new Api(house.server.url).signIn(email, OPERATOR.password);
}

/**
 * Makes somebody a member.
 * @param {Api} owner @param {{ org_id: string, name: string }} org
 * @param {Api} theirs @param {string} email @param {string} role
 */
export async function joins(owner, org, theirs, email, role) {
  await owner.post(`/orgs/${org.org_id}/invitations`, { email, role });
  const mail = await house.server.mail(email, `Organisation:  ${org.name}`);
  await theirs.post("/invitations/accept", { token: mail.match(/accept-invitation\?token=([A-Za-z0-9_-]+)/)?.[1] });
}

/**
 * A test on a page of its own, which fails for whatever the page's watcher noted.
 * @param {string} name
 * @param {(page: import("playwright-core").Page, watched: Watched) => Promise<void>} act
 * @param {{ server?: () => Server }} [options]
 */
export function visit(name, act, { server = () => house.server } = {}) {
  test(name, async () => {
    const watched = await Watched.open(house.browser, server().url);
    try {
      await act(watched.page, watched);
      watched.clean();
    } catch (error) {
      await watched.picture(`failed-${name.replace(/\W+/g, "-").slice(0, 60)}`).catch(() => {});
      if (watched.found.length) /** @type {Error} */ (error).message += `\n  also noted: ${watched.found.join("\n  ")}`;
      throw error;
    } finally {
      await watched.close();
    }
  });
}

/**
 * As `visit`, signed in as the operator; `hash` is the screen, `api` the operator's own.
 * @param {string} name
 * @param {string} hash
 * @param {(page: import("playwright-core").Page, api: Api, watched: Watched) => Promise<void>} act
 * @param {{ server?: () => Server }} [options]
 */
export function signedIn(name, hash, act, options = {}) {
  visit(name, async (page, watched) => {
    const { answer, api } = await operator(options.server?.());
    await enter(page, answer.refresh_token);
    await page.goto(`/admin${hash}`);
    await watched.settled();
    await act(page, api, watched);
  }, options);
}

/** Gives a page a session: once, so that it keeps its own from there on. @param {import("playwright-core").Page} page @param {string} token */
export async function enter(page, token) {
  await page.addInitScript((value) => {
    if (sessionStorage.getItem("given")) return;
    sessionStorage.setItem("given", "yes");
    sessionStorage.setItem("coditect.session", value);
  }, token);
}
