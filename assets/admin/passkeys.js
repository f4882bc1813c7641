// Passkeys: what the browser makes and signs with them.

import { Problem, call, enter, open } from "./api.js";

/** Whether this browser can use passkeys, and pages at this address may. */
export const available = Boolean(window.isSecureContext && window.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** @param {string} detail */
const refused = (detail) => new Problem(0, { detail });

/**
 * What the person did before the browser.
 * @param {string} server the domain that its passkeys are for
 * @param {() => Promise<Credential | null>} act
 * @returns {Promise<any>} what the server wants to know of it
 */
async function asked(server, act) {
  const here = location.hostname;
  if (here !== server && !here.endsWith(`.${server}`)) {
    throw refused(`Passkeys work at ${location.protocol}//${server}${location.port && `:${location.port}`} and not at this address of the same server.`);
  }
  try {
    const credential = /** @type {PublicKeyCredential | null} */ (await act());
    if (credential) return credential.toJSON();
  } catch (error) {
    const { name } = /** @type {Error} */ (error);
    if (name === "InvalidStateError") throw refused("This device has a passkey for this account already.");
    if (name !== "NotAllowedError" && name !== "AbortError") throw refused("This browser could not use a passkey. Try another device.");
  }
  throw refused("No passkey was chosen.");
}

/**
 * Adds a passkey to one's account.
 * @param {string} name @param {string} password
 * @returns {Promise<{ passkey: { passkey_id: string }, recovery_codes: string[] | null }>}
 */
export async function add(name, password) {
  const { ceremony_id, options } = await call("POST", "/users/me/passkeys/begin", { password });
  const credential = await asked(options.rp.id, () =>
    navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }));
  return call("POST", "/users/me/passkeys", { ceremony_id, name, credential });
}

/** Signs this page in with a passkey. */
export async function signIn() {
  enter(await tokens());
}

/** A sign-in with a passkey that is not this page's. @returns {Promise<import("./api.js").LoginAnswer>} */
export async function tokens() {
  const { ceremony_id, options } = await open("POST", "/auth/passkey/begin");
  const credential = await asked(options.rpId, () =>
    navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }));
  return open("POST", "/auth/passkey", { ceremony_id, credential });
}
