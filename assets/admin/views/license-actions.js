// What an operator does to licences.

/** @param {string} [orgId] */
export async function issue(orgId) { void orgId; }
