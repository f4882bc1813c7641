// Issuers that nobody here wrote, on loopback and in memory, each on a port of its own.
//
//     node oidc.js provider REDIRECT_URI...    oidc-provider, which is certified
//     node oidc.js mock                        oauth2-mock-server, which signs what it is told to
//
// `ready ISSUER CONTROL` is printed once they listen. CONTROL takes POSTs of JSON:
//
//     {"do": "token", "claims": {}, "how": ""}    an ID token; null takes a claim away
//     {"do": "next", "claims": {}}                what the next tokens of the code flow say
//     {"do": "rotate"}                            another key in place of the one before
//     {"do": "asked"}                             how often discovery document and keys were asked for
//     {"do": "away", "away": true}                everything but CONTROL answers 503

import { createHmac, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";

const [kind, ...rest] = process.argv.slice(2);

/** @param {import("node:http").RequestListener} listener @returns {Promise<number>} the port */
function listen(listener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  return new Promise((done) => server.once("listening", () => done(/** @type {any} */ (server.address()).port)));
}

async function provider() {
  // @ts-expect-error It comes without types.
  const { Provider } = await import("oidc-provider");
  /** @type {any} */
  let callback;
  const port = await listen((request, response) => callback(request, response));
  const issuer = `http://127.0.0.1:${port}`;
  const client = { redirect_uris: rest, grant_types: ["authorization_code"], response_types: ["code"] };
  const op = new Provider(issuer, {
    clients: [
      { ...client, client_id: "confidential", client_secret: "s3cr%t:of+the tests" },
      { ...client, client_id: "posting", client_secret: "another", token_endpoint_auth_method: "client_secret_post" },
      { ...client, client_id: "public", token_endpoint_auth_method: "none" },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    // The profile is asked for at its own endpoint, as the standard has it for codes.
    conformIdTokenClaims: true,
    cookies: { keys: ["of the tests"] },
    pkce: { required: () => true },
    findAccount: (/** @type {any} */ _, /** @type {string} */ id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: !id.startsWith("unverified"), name: `${id} of the issuer` }),
    }),
  });
  callback = op.callback();
  console.log("ready", issuer, "-");
}

async function mock() {
  const { OAuth2Issuer, OAuth2Service } = await import("oauth2-mock-server");
  const issuer = new OAuth2Issuer();
  await issuer.keys.generate("RS256", { kid: "first" });
  const service = new OAuth2Service(issuer);
  const asked = { discovery: 0, keys: 0 };
  let away = false;
  const port = await listen((request, response) => {
    if (request.url?.startsWith("/.well-known/")) asked.discovery += 1;
    if (request.url?.startsWith("/jwks")) asked.keys += 1;
    if (away) return response.writeHead(503).end();
    service.requestHandler(request, response);
  });
  issuer.url = `http://127.0.0.1:${port}`;

  let kid = "first";
  /** @type {Record<string, unknown>} */
  let next = {};
  service.on("beforeTokenSigning", (token, request) => {
    // The access token is signed as well; what the ID token says does not hurt there.
    apply(token.payload, { aud: request.body?.client_id, ...next });
  });

  /** @param {any} payload @param {Record<string, unknown>} claims */
  function apply(payload, claims) {
    Object.assign(payload, claims);
    for (const name of Object.keys(payload)) if (payload[name] === null || payload[name] === undefined) delete payload[name];
  }

  /** @param {unknown} value */
  const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

  /** @param {Record<string, unknown>} claims @param {string} how */
  async function token(claims, how) {
    const change = (/** @type {any} */ _, /** @type {any} */ payload) => apply(payload, claims);
    const good = await issuer.buildToken({ kid, scopesOrTransform: change });
    const [head, body] = good.split(".");
    const header = JSON.parse(Buffer.from(head, "base64url").toString());
    const unsigned = (/** @type {object} */ changed) => `${encoded({ ...header, ...changed })}.${body}`;
    switch (how) {
      case "none": case "None": case "nOnE": return `${unsigned({ alg: how })}.`;
      case "none-with-signature": return `${unsigned({ alg: "none" })}.${good.split(".")[2]}`;
      case "unsigned": return `${head}.${body}.`;
      case "crit": return `${unsigned({ crit: ["exp"] })}.${good.split(".")[2]}`;
      case "HS256-pem": case "HS256-der": case "HS256-jwk": {
        const jwk = issuer.keys.toJSON().find((key) => key.kid === kid);
        const key = createPublicKey({ key: /** @type {any} */ (jwk), format: "jwk" });
        const secret = how === "HS256-pem" ? key.export({ type: "spki", format: "pem" })
          : how === "HS256-der" ? key.export({ type: "spki", format: "der" }) : Buffer.from(String(jwk?.n), "base64url");
        const message = unsigned({ alg: "HS256" });
        return `${message}.${createHmac("sha256", secret).update(message).digest("base64url")}`;
      }
      case "foreign-key": case "embedded-key": case "unknown-kid": {
        const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
        const jwk = publicKey.export({ format: "jwk" });
        const message = unsigned(how === "unknown-kid" ? { kid: "nobody's" } : how === "embedded-key" ? { jwk } : {});
        return `${message}.${sign("sha256", Buffer.from(message), privateKey).toString("base64url")}`;
      }
      default: return good;
    }
  }

  const control = await listen(async (request, response) => {
    const told = /** @type {any} */ (await json(request));
    let answer = {};
    if (told.do === "token") answer = { token: await token(told.claims ?? {}, told.how ?? "") };
    if (told.do === "next") next = told.claims;
    if (told.do === "away") away = told.away;
    if (told.do === "asked") answer = asked;
    if (told.do === "rotate") {
      kid = `key-${Date.now()}`;
      const key = await issuer.keys.generate("RS256", { kid });
      // The one before is published no longer.
      const kept = issuer.keys;
      const fresh = new (/** @type {any} */ (kept).constructor)();
      await fresh.add(key);
      Object.defineProperty(issuer, "keys", { value: fresh, configurable: true });
    }
    response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
  });
  console.log("ready", issuer.url, `http://127.0.0.1:${control}`);
}

await (kind === "provider" ? provider() : mock());
