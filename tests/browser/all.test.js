// The admin page and the API page in a real browser, against the real program. Run from here with `npm test`, or all
// of it with `tests/all.sh types browser`; `SPECS=business,trouble npm test` runs some. One process, one
// browser: the specs run one after the other, those of the way in first, because they make the operator.

import { after, before } from "node:test";

import { close, open } from "./house.js";

before(open);
after(close);

const SPECS = ["entrance", "account", "second-factor", "single-sign-on", "everywhere", "business", "organisations", "operations", "trouble", "reading", "many"];
const wanted = process.env.SPECS?.split(",") ?? SPECS;
for (const name of SPECS.filter((each) => wanted.includes(each))) await import(`./specs/${name}.js`);
