// One's own account: the name, the password, where one is signed in, and the keys of one's programs.

import assert from "node:assert/strict";
import { describe } from "node:test";

import { Api } from "../api.js";
import { answer, button, dialog, row, toast } from "../hands.js";
import { OPERATOR, customer, enter, house, joins, operator, signedIn, visit } from "../house.js";
import { Phone } from "../phone.js";

/** @typedef {import("playwright-core").Page} Page */

const CHANGED = "eleven-herons-on-a-roof";
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";

/** The account's screen, of somebody who has signed in. @param {Page} page @param {{ refresh_token: string }} signed */
async function account(page, signed) {
  await enter(page, signed.refresh_token);
  await page.goto("/admin#/account");
  await page.getByRole("heading", { level: 2, name: "API keys" }).waitFor();
}

/** A sign-in of another program. @param {string} email @param {string} agent */
async function elsewhere(email, agent) {
  const response = await fetch(`${house.server.url}/api/v1/auth/login`, {
    method: "POST", headers: { "Content-Type": "application/json", "User-Agent": agent },
    body: JSON.stringify({ email, password: OPERATOR.password }),
  });
  const { access_token } = await response.json();
  return new Api(house.server.url, access_token);
}

describe("one's own account", () => {
  visit("takes another name, and the one before again", async (page, watched) => {
    const { answer: signed, api } = await customer("renames@customer.example", "Ada Prk");
    await account(page, signed);
    await watched.look("account");
    const facts = page.locator("section", { has: page.getByRole("heading", { name: "Facts" }) });
    await facts.getByText("Ada Prk").waitFor();
    await button(page, "Change…").click();
    await page.getByLabel("Name", { exact: true }).fill("Ada Park");
    await page.getByLabel("Company").fill("Park Instruments");
    await watched.look("account-name");
    await answer(page, "Change");
    await toast(page, "You are Ada Park here");
    await facts.getByText("Park Instruments").waitFor();
    assert.equal((await api.get("/users/me")).full_name, "Ada Park");
    await page.locator(".toast").getByRole("button", { name: "Undo" }).click();
    await facts.getByText("Ada Prk").waitFor();
    const { full_name, company_name } = await api.get("/users/me");
    assert.deepEqual([full_name, company_name], ["Ada Prk", null]);
  });

  visit("takes another password from whoever knows the one until now, and says at each field what is wrong", async (page, watched) => {
    watched.expect(/^40[01] POST \/api\/v1\/auth\/change-password$/);
    const email = "password@customer.example";
    const { answer: signed } = await customer(email, "Ada Park");
    const other = await elsewhere(email, FIREFOX);
    await account(page, signed);
    await button(page, "Change it…").click();
    const [until, anew] = [page.getByLabel("Password until now"), page.getByLabel("New password")];
    await until.fill("not my password at all");
    await anew.fill(CHANGED);
    await answer(page, "Change it");
    await page.locator("#f-current_password[aria-invalid=true]").waitFor();
    assert.equal(await page.locator("#f-new_password[aria-invalid=true]").count(), 0);
    await until.fill(OPERATOR.password);
    await anew.fill("password1");
    await answer(page, "Change it");
    await page.locator("#f-new_password[aria-invalid=true]").waitFor();
    await anew.fill(OPERATOR.password);
    await answer(page, "Change it");
    await page.locator("#f-new_password-wrong", { hasText: "the account has already" }).waitFor();
    assert.equal(await page.locator("#f-current_password[aria-invalid=true]").count(), 0);
    assert.equal(await dialog(page).getByRole("alert").count(), 0, "it is told once");
    await watched.look("account-password");
    await anew.fill(CHANGED);
    await answer(page, "Change it");
    await toast(page, "The password is changed");
    const nobody = new Api(house.server.url);
    await assert.rejects(nobody.signIn(email, OPERATOR.password), { status: 401 });
    await nobody.signIn(email, CHANGED);
    await assert.rejects(other.get("/users/me"), { status: 401 });
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Your account" }).waitFor();
  });

  visit("shows where one is signed in, and ends one sign-in or all", async (page, watched) => {
    const email = "roams@customer.example";
    const { answer: signed } = await customer(email, "Ada Park");
    const office = await elsewhere(email, FIREFOX);
    const script = await elsewhere(email, "curl/8.5.0");
    await account(page, signed);
    const ins = page.locator("section", { has: page.getByRole("heading", { name: "Where you are signed in" }) });
    await ins.getByText("Firefox on Windows").waitFor();
    assert.match(await ins.locator("tbody tr").first().innerText(), /this one/, "the page's own comes first");
    assert.equal(await ins.locator("tbody tr").first().getByRole("button").count(), 0);
    await row(page, "curl 8.5.0").getByText("127.0.0.1").waitFor();
    await watched.look("account-sign-ins");
    await row(page, "Firefox on Windows").getByRole("button").click();
    await answer(page, "End it");
    await row(page, "Firefox on Windows").waitFor({ state: "detached" });
    await assert.rejects(office.get("/users/me"), { status: 401 });
    assert.equal((await script.get("/users/me")).email, email);

    await button(page, "Sign out everywhere…").click();
    await dialog(page).getByText("this one as well").waitFor();
    await watched.accessible("signing out everywhere");
    await answer(page, "Sign out everywhere");
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
    await page.getByText("You are signed out everywhere.").waitFor();
    await assert.rejects(script.get("/users/me"), { status: 401 });
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  });
});

describe("the end of one's own account", () => {
  visit("is told before, waits until what others belong to is given away, and cannot be mistaken", async (page, watched) => {
    const email = "leaves@customer.example";
    const { answer: signed, api } = await customer(email, "Lea Leaves");
    const { api: heir } = await customer("heir@customer.example", "Hal Heir");
    const [org, alone] = [await api.post("/orgs", { name: "Reed Ltd" }), await api.post("/orgs", { name: "Alone Ltd" })];
    await joins(api, org, heir, "heir@customer.example", "admin");
    await account(page, signed);
    await button(page, "Close it…").click();
    await dialog(page).getByRole("link", { name: "Reed Ltd" }).waitFor();
    assert.equal(await dialog(page).getByRole("link", { name: alone.name }).count(), 0);
    await watched.look("account-close-first");
    await dialog(page).getByRole("link", { name: "Reed Ltd" }).click();
    await page.getByRole("heading", { level: 1, name: "Reed Ltd" }).waitFor();
    await dialog(page).waitFor({ state: "detached" });
    await api.post(`/orgs/${org.org_id}/transfer`, { user_id: (await heir.get("/users/me")).user_id });

    await page.goto("/admin#/account");
    await button(page, "Close it…").click();
    await dialog(page).getByText("this one as well").waitFor();
    await dialog(page).getByText("are charged").waitFor();
    await dialog(page).getByRole("link", { name: "Alone Ltd" }).waitFor();
    await dialog(page).getByText("Invite somebody and give it to them, or delete it").waitFor();
    await watched.look("account-close");
    assert.equal(await dialog(page).getByRole("button", { name: "Close my account" }).isDisabled(), true);
    await page.getByLabel(`Type ${email} to confirm`).fill(email);
    await answer(page, "Close my account");
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
    await page.getByText("Your account is closed.").waitFor();
    await assert.rejects(api.get("/users/me"), { status: 401 });
    await assert.rejects(new Api(house.server.url).signIn(email, OPERATOR.password), { status: 401 });
  });

  visit("waits for a second factor where an organisation asks for one, and is not offered before", async (page, watched) => {
    watched.expect(/^403 GET .*members/);
    const { answer: signed, api: heir } = await customer("bare@customer.example", "Bea Bare");
    const { api: owner } = await customer("guards@customer.example", "Gus Guard");
    const { secret } = await owner.post("/users/me/totp", { password: OPERATOR.password });
    await owner.post("/users/me/totp/confirm", { totp: new Phone(secret).code() });
    const org = await owner.post("/orgs", { name: "Guarded Ltd" });
    await joins(owner, org, heir, "bare@customer.example", "admin");
    await owner.call("PATCH", `/orgs/${org.org_id}`, { require_second_factor: true });
    await owner.post(`/orgs/${org.org_id}/transfer`, { user_id: (await heir.get("/users/me")).user_id });
    await account(page, signed);
    await button(page, "Close it…").click();
    await dialog(page).getByText("set up two-step sign-in first").waitFor();
    await dialog(page).getByRole("link", { name: "Guarded Ltd" }).waitFor();
    assert.equal(await dialog(page).getByText("yours alone").count(), 0);
    assert.equal(await dialog(page).getByRole("button", { name: "Close my account" }).count(), 0);
    await watched.look("account-close-second-factor");
  });

  signedIn("is not offered to the only operator", "#/account", async (page, _api, watched) => {
    let others = false;
    await page.route(/\/admin\/users\?limit=200/, async (route) => {
      const response = await route.fetch();
      const { items } = await response.json();
      const seen = items.map((/** @type {any} */ user) => ({ ...user, operator: others || user.email === OPERATOR.email }));
      await route.fulfill({ response, json: { items: [...seen, { user_id: "another", operator: others }], next_cursor: null } });
    });
    await button(page, "Close it…").click();
    await dialog(page).getByText("You are the only operator").waitFor();
    assert.equal(await page.getByLabel(/to confirm/).count(), 0);
    await watched.look("account-close-operator");
    await dialog(page).getByText("Close", { exact: true }).click();
    others = true;
    await button(page, "Close it…").click();
    await page.getByLabel(`Type ${OPERATOR.email} to confirm`).waitFor();
  });
});

describe("one's API keys", () => {
  visit("are made for an organisation, with what one may do there and no more, and revoked", async (page, watched) => {
    const { answer: signed, api } = await customer("scripts@customer.example", "Sam Script");
    const { api: owner } = await operator();
    const org = await owner.post("/orgs", { name: "Loom and Daughters" });
    await joins(owner, org, api, "scripts@customer.example", "billing");

    await account(page, signed);
    await page.getByText("You have no API key.").waitFor();
    await button(page, "Make an API key…").click();
    await page.getByLabel("Name", { exact: true }).fill("bookkeeping");
    assert.deepEqual(await page.getByLabel("Organisation").locator("option").allInnerTexts(), ["Sam Script, your own", "Loom and Daughters"]);
    await page.getByLabel("Organisation").selectOption({ label: "Loom and Daughters" });
    await page.getByLabel("Expires after").selectOption("other");
    await page.getByLabel("Days").fill("10");
    await page.getByLabel("May do").selectOption("some");
    assert.deepEqual(await dialog(page).getByRole("checkbox").evaluateAll((all) => all.map((each) => each.getAttribute("name"))),
      ["org.read", "billing.read", "billing.manage"], "what the role allows");
    await page.getByLabel("see subscriptions, payments and invoices").check();
    await watched.look("api-key-form");
    await answer(page, "Make the key");
    const secret = await page.locator(".secret code").innerText();
    assert.match(secret, /^cdt_/);
    await watched.look("api-key-made");
    await page.locator(".secret").getByRole("button").click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
    await dialog(page).getByText("Close", { exact: true }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
    assert.ok(!(await page.content()).includes(secret), "it is nowhere on the page any more");

    const [key] = (await api.get("/api-keys")).items;
    assert.deepEqual([key.org_id, key.scopes], [org.org_id, ["billing.read"]]);
    assert.equal(Date.parse(key.expires_at) - Date.parse(key.created_at), 10 * 86_400_000);
    const program = new Api(house.server.url, secret);
    assert.deepEqual((await program.get("/subscriptions")).items, []);
    await assert.rejects(program.get(`/orgs/${org.org_id}`), { status: 403 });
    await row(page, "bookkeeping").getByRole("link", { name: "Loom and Daughters" }).waitFor();
    await row(page, "bookkeeping").getByText("see subscriptions, payments and invoices").waitFor();
    await watched.look("api-keys");
    await button(page, "Revoke… bookkeeping").click();
    await answer(page, "Revoke");
    await toast(page, "is revoked");
    await assert.rejects(program.get("/subscriptions"), { status: 401 });
  });

  visit("are not offered for an organisation that would refuse, and one that may do nothing is refused at its field", async (page, watched) => {
    const { answer: signed, api } = await customer("careful@customer.example", "Cara Full");
    const { api: owner } = await customer("strict@customer.example", "Stella Strict");
    const { secret } = await owner.post("/users/me/totp", { password: OPERATOR.password });
    await owner.post("/users/me/totp/confirm", { totp: new Phone(secret).code() });
    const org = await owner.post("/orgs", { name: "Strict Ltd" });
    await joins(owner, org, api, "careful@customer.example", "admin");
    await owner.call("PATCH", `/orgs/${org.org_id}`, { require_second_factor: true });
    await account(page, signed);
    await button(page, "Make an API key…").click();
    await page.getByLabel("Name", { exact: true }).fill("nothing");
    assert.deepEqual(await page.getByLabel("Organisation").locator("option").allInnerTexts(), ["Cara Full, your own"]);
    await page.getByLabel("May do").selectOption("some");
    assert.equal(await page.getByLabel("what operators of this server do").count(), 0);
    await answer(page, "Make the key");
    await page.locator("#f-scopes-wrong", { hasText: "Tick below what the key may do" }).waitFor();
    await watched.look("api-key-nothing");
    assert.deepEqual((await api.get("/api-keys")).items, []);
  });

  signedIn("of an operator do what operators do, where that was chosen", "#/keys", async (page, api, watched) => {
    await watched.look("keys");
    await page.locator("main").getByRole("link", { name: "your account" }).click();
    await button(page, "Make an API key…").click();
    await page.getByLabel("Name", { exact: true }).fill("billing import");
    await page.getByLabel("May do").selectOption("some");
    await page.getByLabel("what operators of this server do").check();
    await answer(page, "Make the key");
    const secret = await page.locator(".secret code").innerText();
    const program = new Api(house.server.url, secret);
    assert.ok((await program.get("/admin/overview")).version);
    await assert.rejects(program.get("/subscriptions"), { status: 403 });
    await dialog(page).getByText("Close", { exact: true }).click();
    await button(page, "Revoke… billing import").click();
    await answer(page, "Revoke");
    await toast(page, "is revoked");
    await assert.rejects(program.get("/admin/overview"), { status: 401 });
  });
});
