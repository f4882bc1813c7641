// Talks to the server: the session, and calls that carry it.
//
// Where the tokens are kept: the access token lives in this module's memory alone and is gone with
// the page. The refresh token is in sessionStorage, so that a reload does not sign out; it ends
// with the tab and other tabs cannot read it. It is good for one use: a duplicated tab that
// presents it a second time ends the session in both, and the page says so. The policy on scripts
// (only files of this server, none inline) is what keeps other code from reading either.

import { signal } from "./lib.js";

/**
 * @typedef {object} User
 * @property {string} user_id
 * @property {string} email
 * @property {string} full_name
 * @property {string | null} company_name
 * @property {boolean} operator whether this page is for them
 * @property {boolean} has_password whoever signs in through an issuer or with a passkey need not have one
 *
 * @typedef {object} LoginAnswer
 * @property {string} access_token
 * @property {number} expires_in seconds
 * @property {string} refresh_token
 * @property {User} user
 */

const STORED = "coditect.session";
const TIMEOUT_MS = 20_000;
/** The code of a refusal for want of a second factor. */
export const NO_FACTOR = "mfa_enrolment_required";
/** Where the cookie goes that this browser leaves for an issuer with, and comes from. */
const WITH_COOKIE = ["/auth/oidc/complete", "/users/me/identities/begin", "/users/me/identities"].map((path) => `/api/v1${path}`);
/** For what grows with the database: backups, restores, diagnostics. */
export const LONG_MS = 3_600_000;

/** The account that is signed in; null when none is; undefined until that is known. */
export const account = signal(/** @type {User | null | undefined} */ (undefined));

/** Counts what this page has changed on the server, so that what is shown can be asked for again. */
export const changes = signal(0);

/** Why nothing at all works before a second factor is set up; empty while something does, if not every organisation. */
export const enrolment = signal("");

/** Why the last session ended, where that was not the person's own doing. */
export const ended = signal("");

/** @type {{ token: string, until: number } | null} */
let access = null;
/** @type {Promise<boolean> | null} one refresh at a time: its token works once */
let refreshing = null;
let clockOffsetMs = 0;

/** The server's time in milliseconds, as far as its answers tell: this computer's clock may be off. */
export function serverNow() {
  return Date.now() + clockOffsetMs;
}

/** A refusal, as problem details (RFC 9457) or as near to them as the failure allows. */
export class Problem extends Error {
  /**
   * @param {number} status 0 when the server could not be reached
   * @param {{ code?: string, title?: string, detail?: string, errors?: { field: string, message: string }[] }} body
   * @param {number} retryAfterS 0 when the server names no time
   */
  constructor(status, body, retryAfterS = 0) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.code = body.code || "";
    this.retryAfterS = retryAfterS;
    /** @type {Record<string, string>} */
    this.fields = {};
    for (const each of body.errors || []) this.fields[each.field] ??= each.message;
  }
}

/**
 * One exchange without credentials of its own.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @param {string} [token]
 * @param {AbortSignal} [signal] ends it; left out: a time limit does
 * @param {string} [org] the organisation that it is for; left out: one's own
 * @returns {Promise<Response>} a good answer, its body unread
 */
async function exchange(method, path, body, token, signal = AbortSignal.timeout(TIMEOUT_MS), org = "") {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  if (org) headers["Coditect-Organisation"] = org;
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      // The cookie that this browser left for an issuer with goes where that is finished, and nowhere else.
      credentials: method === "POST" && WITH_COOKIE.includes(path) ? "same-origin" : "omit",
      signal,
    });
  } catch {
    throw unreachable();
  }
  const date = Date.parse(response.headers.get("Date") || "");
  if (date) clockOffsetMs = Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
  if (response.ok) return response;
  // What is no JSON is a proxy's error page, most likely: the status says enough.
  const problem = await response.json().catch(() => null);
  if (problem?.code === NO_FACTOR && token && !enrolment.value && await needsItForAll(path, token) && token === bearer()) enrolment.value = problem.detail;
  throw new Problem(response.status, problem || {}, Number(response.headers.get("Retry-After")) || 0);
}

/**
 * Whether an account without a second factor is refused everywhere, and not by one organisation alone: then it is not
 * even told which organisations it belongs to. @param {string} refused the path @param {string} token
 */
async function needsItForAll(refused, token) {
  const path = "/api/v1/orgs";
  if (refused === path) return true;
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(path, { headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => null);
  return answer?.status === 403;
}

function unreachable() {
  return new Problem(0, {
    code: "unreachable",
    detail: "The server does not answer. Check that it is running and that this computer can reach it.",
  });
}

/** @param {Response} response @returns {Promise<any>} the answer's JSON; null when it has none */
async function json(response) {
  let text;
  try {
    text = await response.text();
  } catch {
    throw unreachable();
  }
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    throw new Problem(response.status, { detail: "The answer was cut off or changed on its way. Try again." });
  }
}

/**
 * A call that needs no session of this page.
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {unknown} [body]
 * @param {string} [token] of a sign-in that is not this page's
 */
export async function open(method, path, body, token) {
  return json(await exchange(method, `/api/v1${path}`, body, token));
}

/**
 * A call as the account that is signed in; renews the access token when it is due.
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {unknown} [body]
 * @param {{ timeout?: number, org?: string }} [how] `timeout` in milliseconds; `org`: the organisation that it is for, where the path does not say it
 */
export async function call(method, path, body, { timeout = TIMEOUT_MS, org } = {}) {
  const value = await json(await withToken((token) => exchange(method, `/api/v1${path}`, body, token, AbortSignal.timeout(timeout), org)));
  // Whatever is on the screen may have changed with it: every question is asked again.
  if (method !== "GET") changes.value += 1;
  return value;
}

/**
 * A list's page. @param {string} path below /api/v1
 * @param {Record<string, string | number | undefined>} [query] empty values are left out
 * @param {string} [org] the organisation that is asked for, where the path does not say it
 * @returns {Promise<{ items: any[], next_cursor: string | null }>}
 */
export async function list(path, query = {}, org) {
  return json(await withToken((token) => exchange("GET", `/api/v1${path}${search(query)}`, undefined, token, undefined, org)));
}

/** `?a=b&c=d`, without what is empty. @param {Record<string, string | number | undefined | null>} query */
export function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

/**
 * Fetches a file as the account that is signed in and hands it to the browser to keep.
 * @param {string} path below /api/v1 @param {string} name the file's, on this computer
 */
export async function download(path, name) {
  // No time limit: a backup may be large and the line slow.
  const response = await withToken((token) => exchange("GET", `/api/v1${path}`, undefined, token, new AbortController().signal));
  keep(await response.blob().catch(() => { throw unreachable(); }), name);
}

/** Lets the browser save something under a name. @param {Blob} blob @param {string} name */
export function keep(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Opens a stream; its end is the caller's to meet. @param {string} path below /api/v1 @param {AbortSignal} signal
 */
export function stream(path, signal) {
  return withToken((token) => exchange("GET", `/api/v1${path}`, undefined, token, signal));
}

/** @template T @param {(token: string | undefined) => Promise<T>} ask */
async function withToken(ask) {
  if (!access || access.until < Date.now()) await renewOrFail();
  try {
    return await ask(bearer());
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status !== 401) throw problem;
    // A wrong password or code in the body is wrong with a fresh token, too, and each try counts.
    if (["invalid_credentials", "invalid_totp", "oidc_failed"].includes(problem.code)) throw problem;
    // Ended early, by a restart or by hand: one fresh token, one more try.
    access = null;
    await renewOrFail();
    return ask(bearer());
  }
}

function bearer() {
  return access?.token;
}

async function renewOrFail() {
  if (!(await renew())) throw new Problem(401, { code: "unauthenticated", detail: "Sign in again." });
}

/** Trades the refresh token for a new pair. @returns {Promise<boolean>} whether there is a session */
export function renew() {
  refreshing ??= tradeToken().finally(() => { refreshing = null; });
  return refreshing;
}

async function tradeToken() {
  const refresh_token = sessionStorage.getItem(STORED);
  if (!refresh_token) {
    leave("");
    return false;
  }
  // Whoever signed out meanwhile is not signed in again, nor told that the session has ended.
  const inVain = () => sessionStorage.getItem(STORED) !== refresh_token;
  try {
    const answer = await open("POST", "/auth/refresh", { refresh_token });
    if (inVain()) {
      await endSignIn(answer.access_token);
      return false;
    }
    enter(answer);
    return true;
  } catch (problem) {
    if (inVain()) return false;
    if (!(problem instanceof Problem) || problem.status === 0 || problem.status >= 429) throw problem;
    leave(problem.code === "token_reused"
      ? "The session was ended because its token was used twice, as a duplicated tab does. Sign in again."
      : "The session has ended. Sign in again.");
    return false;
  }
}

/** Takes up a session. @param {LoginAnswer} answer of login, refresh or set-up */
export function enter(answer) {
  // Renewed a little early, so that a token does not lapse on its way.
  access = { token: answer.access_token, until: Date.now() + Math.max(answer.expires_in - 20, 5) * 1000 };
  sessionStorage.setItem(STORED, answer.refresh_token);
  ended.value = "";
  account.value = answer.user;
}

/** @param {string} why shown above the sign-in form */
function leave(why) {
  access = null;
  sessionStorage.removeItem(STORED);
  enrolment.value = "";
  ended.value = why;
  account.value = null;
}

/** Signs out: here at once, and on the server if it can be reached. */
export async function signOut() {
  let token = access && access.until > Date.now() ? access.token : "";
  const refresh_token = sessionStorage.getItem(STORED);
  leave("");
  // The trade that is under way ends the sign-in: its token works once.
  if (refreshing) return;
  // Only an access token that is still good can end the sign-in on the server.
  if (!token && refresh_token) token = (await open("POST", "/auth/refresh", { refresh_token }).catch(() => null))?.access_token;
  if (token) await endSignIn(token);
}

/** Ends every sign-in of the account, this page's with them. */
export async function signOutEverywhere() {
  // Nothing on the screen is asked for again: there is nobody any more to answer.
  await withToken((token) => exchange("DELETE", "/api/v1/auth/sessions", undefined, token));
  leave("You are signed out everywhere.");
}

/** Closes the account, and ends this page's sign-in with every other. */
export async function closeAccount() {
  await withToken((token) => exchange("POST", "/api/v1/users/me/deactivate", undefined, token));
  leave("Your account is closed.");
}

/** The tokens are forgotten here; where this fails, the server's side ends by itself. @param {string} token of access, still good */
async function endSignIn(token) {
  await exchange("POST", "/api/v1/auth/logout", undefined, token).catch(() => null);
}
