// How an issuer sent the browser back: `#oidc=CODE`, or `#oidc_error=` and the code of a problem.
//
// Loaded before everything that reads the address. The code leaves it at once: it is for this page alone.

const { oidc = "", oidc_error = "" } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
if (oidc || oidc_error) history.replaceState(null, "", location.pathname + location.search);

/** Good once, for tokens; empty when nobody comes from an issuer. @type {string} */
export const code = oidc;
/** Why there is none. @type {string} */
export const refusal = oidc_error;
