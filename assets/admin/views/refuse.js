// What a form refuses before the server is asked, in the server's own form.

import { Problem } from "../api.js";

/** @param {string} field @param {string} message */
export function invalid(field, message) {
  return new Problem(400, { code: "invalid_request", detail: message, errors: [{ field, message }] });
}
