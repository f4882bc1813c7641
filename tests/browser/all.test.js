// The admin page and the API page in a real browser, against the real program. Run from here with `npm test`, or all
// of it with `tests/all.sh types browser`; `node --test --test-name-pattern=WORDS all.test.js` runs some. One process,
// one browser: the specs run one after the other, those of the way in first, because they make the operator.

import { after, before } from "node:test";

import { close, open } from "./house.js";

before(open);
after(close);

await import("./specs/entrance.js");
await import("./specs/everywhere.js");
await import("./specs/business.js");
await import("./specs/operations.js");
await import("./specs/trouble.js");
await import("./specs/reading.js");
await import("./specs/many.js");
