// Two-step sign-in: set up with a QR code, asked for, lost, and required.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { Api } from "../api.js";
import { button } from "../hands.js";
import { OPERATOR, confirmed, customer, house, operator, visit } from "../house.js";
import { Phone } from "../phone.js";
import { Server } from "../server.js";

/** @typedef {import("playwright-core").Page} Page */

const IDA = "ida@vendor.example";

/** @param {Page} page @param {string} name */
const heading = (page, name) => page.getByRole("heading", { name, exact: true });
/** @param {Page} page */
const overview = (page) => page.getByRole("heading", { name: "Overview", level: 1 }).waitFor({ state: "attached" });

/** @param {Page} page @param {string} email */
async function signIn(page, email) {
  await page.goto("/admin");
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
  await button(page, "Sign in").click();
}

/** From the password to the recovery codes. @param {Page} page @param {(name: string) => Promise<any>} look */
async function enrol(page, look) {
  await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
  await button(page, "Go on").click();
  const image = page.getByAltText("QR code for an authenticator app");
  await image.waitFor();
  assert.ok(await image.evaluate((/** @type {HTMLImageElement} */ each) => each.decode().then(() => each.naturalWidth > 0)), "it is a picture");
  await look("second-factor-qr");
  const phone = new Phone(await page.locator(".secret code").innerText());
  assert.equal(phone.key.length, 20);
  await page.getByLabel("Code", { exact: true }).fill("000000");
  await button(page, "Switch on").click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "totp", "the next try is typed at once");
  await page.keyboard.type(phone.code());
  await page.keyboard.press("Enter");
  await heading(page, "Your recovery codes").waitFor();
  await look("second-factor-codes");
  const codes = await page.locator(".codes code").allInnerTexts();
  assert.equal(codes.length, 10);
  return { phone, codes };
}

describe("two-step sign-in", () => {
  visit("is set up with a QR code, asked for at sign-in, renewed and switched off", async (page, watched) => {
    watched.expect(/^401 (POST|DELETE) \/api\/v1\/(auth\/login|users\/me\/totp.*)$/);
    const { api } = await operator();
    const ida = await confirmed(IDA, "Ida Berg");
    await api.call("PUT", `/admin/users/${ida.user_id}/operator`, { operator: true });

    await signIn(page, IDA);
    await overview(page);
    await page.getByRole("link", { name: IDA }).click();
    await heading(page, "Your account").waitFor();
    await button(page, "Set an app up").waitFor();
    await watched.look("account");
    await button(page, "Set an app up").click();
    const { phone, codes } = await enrol(page, (name) => watched.look(name));
    const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Download").click()]);
    assert.equal(download.suggestedFilename(), "recovery-codes.txt");
    await button(page, "Copy all").click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), codes.join("\n"));
    await button(page, "I have kept them").click();
    await button(page, "Remove the app…").waitFor();
    await watched.look("account-on");
    await house.server.mail(IDA, "authenticator app");
    await button(page, "Sign out").click();

    await signIn(page, IDA);
    await page.getByLabel("Code", { exact: true }).waitFor();
    await watched.look("sign-in-code");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "totp");
    assert.equal(await page.locator("#totp").getAttribute("autocomplete"), "one-time-code");
    await page.keyboard.type("123 456");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    assert.equal(await page.locator("#totp").inputValue(), "", "a wrong code is not to be deleted first");
    const code = phone.code();
    await page.evaluate((text) => navigator.clipboard.writeText(text), `${code.slice(0, 3)} ${code.slice(3)}`);
    await page.locator("#totp").focus();
    await page.keyboard.press("Control+V");
    await page.keyboard.press("Enter");
    await overview(page);
    await button(page, "Sign out").click();

    await signIn(page, IDA);
    await button(page, "Use a recovery code").click();
    await page.getByLabel("Recovery code", { exact: true }).fill(codes[0].toLowerCase());
    await button(page, "Sign in").click();
    await overview(page);
    await page.goto("/admin#/account");
    await page.locator(".facts div", { hasText: "Recovery codes left" }).getByText("9").waitFor();
    await button(page, "New recovery codes…").click();
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await page.getByLabel("Code", { exact: true }).fill(codes[1]);
    await watched.look("account-renew");
    await button(page, "Make new codes").click();
    await heading(page, "Your recovery codes").waitFor();
    const fresh = await page.locator(".codes code").allInnerTexts();
    assert.ok(!fresh.includes(codes[2]));
    await button(page, "I have kept them").click();

    await button(page, "Remove the app…").click();
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await page.getByLabel("Code", { exact: true }).fill(codes[2]);
    await page.locator("dialog[open]").getByRole("button", { name: "Remove", exact: true }).click();
    await page.locator("dialog[open]").getByRole("alert").waitFor();
    await page.getByLabel("Code", { exact: true }).fill(fresh[0]);
    await page.locator("dialog[open]").getByRole("button", { name: "Remove", exact: true }).click();
    await page.locator(".toast", { hasText: "app was removed" }).waitFor();
    await button(page, "Set an app up").waitFor();
    // The other specs know of one operator.
    await api.call("PUT", `/admin/users/${ida.user_id}/operator`, { operator: false });
  });

  visit("is removed by another operator for whoever lost the phone", async (page, watched) => {
    const { api } = await operator();
    const email = "lost@customer.example";
    const person = await confirmed(email, "Lou Stone");
    const { api: theirs } = await new Api(house.server.url).signIn(email, OPERATOR.password);
    const { secret } = await theirs.post("/users/me/totp", { password: OPERATOR.password });
    await theirs.post("/users/me/totp/confirm", { totp: new Phone(secret).code() });

    await signIn(page, OPERATOR.email);
    await overview(page);
    await page.goto(`/admin#/users/${person.user_id}`);
    await button(page, "Remove second factor…").click();
    await watched.look("user-remove-second-factor");
    await page.locator("dialog[open]").getByRole("button", { name: "Remove", exact: true }).click();
    await page.locator(".toast", { hasText: "no second factor any more" }).waitFor();
    assert.equal((await api.get(`/admin/users/${person.user_id}`)).second_factor_since, null);
    await house.server.mail(email, "an operator switched");
  });
});

/** A finger on a reader: what the browser asks of it is done at once. @param {Page} page */
async function authenticator(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    },
  });
  return {
    /** @param {boolean} isUserVerified */
    unlock: (isUserVerified) => session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    count: async () => (await session.send("WebAuthn.getCredentials", { authenticatorId })).credentials.length,
  };
}

describe("a passkey", () => {
  visit("is added, signs in alone, and is removed", async (page, watched) => {
    watched.expect(/^401 POST \/api\/v1\/auth\/(login|passkey)$/, /^401 POST \/api\/v1\/users\/me\/passkeys\/begin$/);
    const { api } = await operator();
    const email = "pia@vendor.example";
    const pia = await confirmed(email, "Pia Lund");
    await api.call("PUT", `/admin/users/${pia.user_id}/operator`, { operator: true });

    // At a bare address browsers have no passkeys: the page says where they work.
    await signIn(page, email);
    await overview(page);
    await page.goto("/admin#/account");
    await page.getByText("Passkeys work at").waitFor();
    await button(page, "Sign out").click();
    await button(page, "Sign in with a passkey").click();
    await page.getByRole("alert").getByText("Passkeys work at http://localhost").waitFor();

    // The same server, by its name.
    watched.expect(/^request to another origin: http:\/\/localhost:/);
    const named = house.server.url.replace("127.0.0.1", "localhost");
    const finger = await authenticator(page);
    await page.goto(`${named}/admin`);
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await button(page, "Sign in").click();
    await overview(page);
    await page.goto(`${named}/admin#/account`);
    await button(page, "Add a passkey…").click();
    await page.getByLabel("Name", { exact: true }).fill("This laptop");
    await page.getByLabel("Password", { exact: true }).fill("not my password at all");
    await button(page, "Go on").click();
    await page.locator("dialog[open]").getByRole("alert").waitFor();
    assert.equal(await finger.count(), 0);
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await watched.look("passkey-add");
    await button(page, "Go on").click();
    await heading(page, "Your recovery codes").waitFor();
    assert.equal(await finger.count(), 1);
    await button(page, "I have kept them").click();
    await page.locator(".passkeys li", { hasText: "This laptop" }).getByText("not used yet").waitFor();
    await watched.look("passkeys");
    // A second one on the same device is none.
    await button(page, "Add a passkey…").click();
    await page.getByLabel("Name", { exact: true }).fill("This laptop again");
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await button(page, "Go on").click();
    await page.locator("dialog[open]").getByText("has a passkey for this account already").waitFor();
    await page.keyboard.press("Escape");
    await button(page, "Sign out").click();

    // The password alone does not do, and a device that stays locked does not either.
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await button(page, "Sign in").click();
    await button(page, "Use a passkey").waitFor();
    await watched.look("sign-in-passkey-or-code");
    await finger.unlock(false);
    await button(page, "Use a passkey").click();
    await page.getByRole("alert").getByText("No passkey was chosen").waitFor();
    await finger.unlock(true);
    await button(page, "Use a passkey").click();
    await heading(page, "Your account").waitFor();
    await page.locator(".passkeys li", { hasText: "This laptop" }).getByText("used").waitFor();
    await button(page, "Sign out").click();
    await watched.look("sign-in");
    await button(page, "Sign in with a passkey").click();
    await heading(page, "Your account").waitFor();

    await button(page, "Remove This laptop…").click();
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await page.locator("dialog[open]").getByRole("button", { name: "Remove", exact: true }).click();
    await page.locator(".toast", { hasText: "passkey was removed" }).waitFor();
    await button(page, "Set an app up").waitFor();
    await button(page, "Sign out").click();
    await button(page, "Sign in with a passkey").click();
    await page.getByRole("alert").getByText("does not sign in here").waitFor();
    // The other specs know of one operator.
    await api.call("PUT", `/admin/users/${pia.user_id}/operator`, { operator: false });
  });
});

describe("an invitation for an account with a second factor", () => {
  visit("is accepted with a code, with a recovery code and with a passkey", async (page, watched) => {
    watched.expect(/^401 POST \/api\/v1\/auth\/login$/, /^request to another origin: http:\/\/localhost:/);
    const { api } = await operator();
    const email = "noor@customer.example";
    const { api: theirs } = await customer(email, "Noor Haddad");
    const { secret } = await theirs.post("/users/me/totp", { password: OPERATOR.password });
    const phone = new Phone(secret);
    const { recovery_codes: codes } = await theirs.post("/users/me/totp/confirm", { totp: phone.code() });
    const named = house.server.url.replace("127.0.0.1", "localhost");

    /** From the mail to the page. @param {string} name */
    const invited = async (name) => {
      const org = await api.post("/orgs", { name });
      await api.post(`/orgs/${org.org_id}/invitations`, { email, role: "member" });
      const mail = await house.server.mail(email, `Organisation:  ${name}`);
      await page.goto(`${named}/accept-invitation?token=${mail.match(/accept-invitation\?token=([A-Za-z0-9_-]+)/)?.[1]}`);
      await heading(page, `Join ${name}`).waitFor();
    };
    const password = async () => {
      await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
      await button(page, "Accept and join").click();
      await page.locator("#totp").waitFor();
    };

    await invited("Warp Ltd");
    await password();
    await watched.look("accept-invitation-code");
    await page.getByLabel("Code", { exact: true }).fill("000000");
    await button(page, "Accept and join").click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.locator("#totp").inputValue(), "", "a wrong code is not to be deleted first");
    await page.locator("#totp").fill(phone.code());
    await button(page, "Accept and join").click();
    await heading(page, "You belong to Warp Ltd").waitFor();

    await invited("Weft Ltd");
    await password();
    await button(page, "Use a recovery code").click();
    await page.getByLabel("Recovery code", { exact: true }).fill(codes[0]);
    await button(page, "Accept and join").click();
    await heading(page, "You belong to Weft Ltd").waitFor();

    // A passkey takes the place of the password and of the code.
    await authenticator(page);
    await page.goto(`${named}/admin`);
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await button(page, "Sign in").click();
    await button(page, "Use a recovery code").click();
    await page.getByLabel("Recovery code", { exact: true }).fill(codes[1]);
    await button(page, "Sign in").click();
    await button(page, "Add a passkey…").click();
    await page.getByLabel("Name", { exact: true }).fill("This laptop");
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await button(page, "Go on").click();
    await page.locator(".passkeys li", { hasText: "This laptop" }).waitFor();
    await button(page, "Sign out").click();
    await invited("Loom and Sons");
    await watched.look("accept-invitation-passkey");
    await button(page, "Accept with a passkey").click();
    await heading(page, "You belong to Loom and Sons").waitFor();
    await invited("Bobbin Ltd");
    await password();
    await button(page, "Use a passkey").click();
    await heading(page, "You belong to Bobbin Ltd").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("coditect.session")), null, "nobody stays signed in there");
    const orgs = (await theirs.get("/orgs")).items.map((/** @type {any} */ each) => each.name);
    for (const name of ["Warp Ltd", "Weft Ltd", "Loom and Sons", "Bobbin Ltd"]) assert.ok(orgs.includes(name), name);
  });
});

describe("an organisation that requires it", () => {
  /** @param {Page} page @param {string} name */
  const screen = (page, name) => page.getByRole("navigation", { name: "Screens" }).getByRole("link", { name }).click();

  visit("is not made so by whoever has none, who is told in the dialog and goes on", async (page, watched) => {
    watched.expect(/^403 PATCH \/api\/v1\/orgs\//);
    const { api } = await customer("petra@customer.example", "Petra Novak");
    await api.post("/orgs", { name: "Heddle Ltd" });
    await signIn(page, "petra@customer.example");
    await screen(page, "Organisations");
    await page.getByRole("link", { name: "Heddle Ltd" }).click();
    await button(page, "Require a second factor…").click();
    await button(page, "Require it").click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByRole("alert").getByText("a second factor of your own").waitFor();
    await watched.look("org-second-factor-refused");
    await page.getByRole("heading", { level: 1, name: "Heddle Ltd", includeHidden: true }).waitFor({ state: "attached" });
    await dialog.getByRole("link", { name: "Set it up in your account" }).click();
    await page.getByRole("heading", { level: 1, name: "Your account" }).waitFor();
    await dialog.waitFor({ state: "detached" });
    await page.goBack();
    await button(page, "Invite…").click();
    await dialog.waitFor();
    await page.goBack();
    await page.getByRole("heading", { level: 1, name: "Your organisations" }).waitFor();
    await dialog.waitFor({ state: "detached" });
  });

  visit("is closed to members and operators without it, who see the rest, set it up or leave", async (page, watched) => {
    watched.expect(/^403 GET \/api\/v1\/orgs\//, /^403 DELETE \/api\/v1\/orgs\//);
    const { api: owner } = await customer("selma@customer.example", "Selma Berg");
    const { secret } = await owner.post("/users/me/totp", { password: OPERATOR.password });
    await owner.post("/users/me/totp/confirm", { totp: new Phone(secret).code() });
    const org = await owner.post("/orgs", { name: "Careful Ltd" });
    const { api: member } = await customer("tarik@customer.example", "Tarik Aydin");
    await owner.post(`/orgs/${org.org_id}/invitations`, { email: "tarik@customer.example", role: "member" });
    const mail = await house.server.mail("tarik@customer.example", "Organisation:  Careful Ltd");
    await member.post("/invitations/accept", { token: mail.match(/accept-invitation\?token=([A-Za-z0-9_-]+)/)?.[1] });
    await owner.call("PATCH", `/orgs/${org.org_id}`, { require_second_factor: true });

    await signIn(page, "tarik@customer.example");
    await screen(page, "Organisations");
    await page.getByRole("link", { name: "Careful Ltd" }).click();
    await page.getByRole("alert").getByText("Careful Ltd asks a second factor").waitFor();
    await watched.look("org-second-factor-lacking");
    await page.getByRole("link", { name: "Set it up in your account" }).click();
    await button(page, "Set an app up").waitFor();
    await screen(page, "Organisations");
    await page.getByRole("link", { name: "Careful Ltd" }).click();
    await button(page, "Leave…").click();
    await button(page, "Leave").click();
    await page.locator(".toast", { hasText: "You do not belong to Careful Ltd" }).waitFor();
    await page.getByRole("heading", { level: 1, name: "Your organisations" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Careful Ltd" }).count(), 0);
    await button(page, "Sign out").click();

    await operator();
    await signIn(page, OPERATOR.email);
    await overview(page);
    await page.goto(`/admin#/orgs/${org.org_id}`);
    await page.getByRole("alert").getByText("Careful Ltd asks a second factor").waitFor();
    await watched.accessible("an organisation that an operator may not enter");
    await screen(page, "Users");
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
  });
});

describe("where operators need it", () => {
  /** @type {Server} */
  let server;
  before(async () => { server = await Server.start({ CODITECT_AUTH_OPERATORS_NEED_SECOND_FACTOR: "true" }); });
  after(() => server.remove());

  visit("one without it sets it up and then goes on", async (page, watched) => {
    watched.expect(/^403 GET /, /^401 POST \/api\/v1\/users\/me\/totp\/confirm$/);
    await operator(server);
    await signIn(page, OPERATOR.email);
    await heading(page, "Set up two-step sign-in").waitFor();
    await watched.look("second-factor-required");
    await button(page, "Set an app up").click();
    await enrol(page, (name) => watched.accessible(name));
    await button(page, "I have kept them").click();
    await overview(page);
    await page.reload();
    await overview(page);
  }, { server: () => server });
});
