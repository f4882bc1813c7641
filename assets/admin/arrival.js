// How an issuer sent the browser back: `#oidc=CODE`, or `#oidc_error=` and the code of a problem. Where an account there
// was to be linked, `#oidc_link=CODE` or `#oidc_link_error=`: that goes on where it was begun, on one's own account.
//
// Loaded before everything that reads the address. The code leaves it at once: it is for this page alone.

const { oidc = "", oidc_error = "", oidc_link = "", oidc_link_error = "" } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const here = location.pathname + location.search;
if (oidc || oidc_error) history.replaceState(null, "", here);
if (oidc_link || oidc_link_error) history.replaceState(null, "", `${here}#/account`);

/** Good once, for tokens; empty when nobody comes from an issuer. @type {string} */
export const code = oidc;
/** Why there is none. @type {string} */
export const refusal = oidc_error;
/** Good once, to link the account that the issuer has named. @type {string} */
export const linkCode = oidc_link;
/** Why there is none. @type {string} */
export const linkRefusal = oidc_link_error;
