// The vendored libraries under the names this page uses, so that their place is written once.

import { h, render } from "../assets/vendor/preact.js";
import htm from "../assets/vendor/htm.js";

export { render };
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../assets/vendor/preact-hooks.js";
export { computed, effect, signal } from "../assets/vendor/signals.js";

/**
 * Markup as a tagged template. Never give it a `style`: the page's policy forbids inline styles.
 * @type {(strings: TemplateStringsArray, ...values: any[]) => any}
 */
export const html = htm.bind(h);
