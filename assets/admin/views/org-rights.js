// What may be done in an organisation. Operators act as its owner.

import { account } from "../api.js";

/**
 * @typedef {object} Org
 * @property {string} org_id
 * @property {string} name
 * @property {boolean} personal
 * @property {boolean} require_second_factor
 * @property {string | null} deletion_due_at
 * @property {string | null} [erased_at] of those that operators see
 * @property {string} created_at
 * @property {string} [role] what one is there
 * @property {string[]} [permissions] what one may do there
 */

/** What a member can be made. @type {[string, string][]} */
export const ROLES = [["admin", "Admin: everything but ownership"], ["billing", "Billing: the money alone"], ["member", "Member: licences to use"]];

/** Whether the person may do that. @param {Org} org @param {"org.read" | "org.manage" | "org.own" | "teams.manage" | "licenses.read"} permission */
export function may(org, permission) {
  return Boolean(account.value?.operator || org.permissions?.includes(permission));
}
