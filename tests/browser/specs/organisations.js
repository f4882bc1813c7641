// Organisations: who belongs to them, their teams and projects, and how their people sign in.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { after, before, describe } from "node:test";

import { answer, button, dialog, row, toast } from "../hands.js";
import { OPERATOR, customer, enter, house, joins, operator, signedIn, visit } from "../house.js";
import { records } from "../records.js";
import { Server } from "../server.js";

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page @param {string} name */
const part = (page, name) => page.getByRole("navigation", { name: "Parts of this organisation" }).getByRole("link", { name }).click();

describe("organisations", () => {
  signedIn("somebody is invited, another is made an admin, and it is deleted and kept after its name was typed", "#/orgs", async (page, api, watched) => {
    const made = await api.post("/orgs", { name: "Spinning Wheel Ltd" });
    const { customers } = await records();
    const path = `/orgs/${made.org_id}`;
    await page.goto(`/admin#/orgs/${made.org_id}`);
    await page.getByRole("heading", { level: 1, name: "Spinning Wheel Ltd" }).waitFor();

    await button(page, "Invite…").click();
    await page.getByLabel("E-mail").fill(customers[3].email);
    await page.getByLabel("Role").selectOption("billing");
    await answer(page, "Invite");
    await toast(page, "is asked to join");
    await api.post(`${path}/invitations`, { email: "nobody@new.example", role: "member" });
    const mail = await house.server.mail(customers[3].email, "Organisation:  Spinning Wheel Ltd");
    const token = mail.match(/token=([A-Za-z0-9_-]+)/)?.[1];
    const own = await api.post("/admin/licenses", { org_id: made.org_id, max_concurrent_seats: 1 });
    assert.equal(own.org_id, made.org_id);
    await page.reload();
    await row(page, "nobody@new.example").waitFor();
    await watched.look("organisation");
    await row(page, "nobody@new.example").getByRole("button", { name: "Revoke" }).click();
    await toast(page, "works no longer");
    assert.ok(token, "the mail has a link");

    await button(page, "Delete…").click();
    await page.getByLabel(/to confirm/).fill("Spinning Wheel Ltd");
    await watched.look("organisation-delete");
    await answer(page, "Have it deleted");
    await toast(page, "is to be deleted");
    await page.getByText("It is erased after").waitFor();
    await watched.look("organisation-leaving");
    await button(page, "Keep it").click();
    await toast(page, "stays");
    assert.equal((await api.get(`/admin${path}`)).deletion_due_at, null);
  });

  signedIn("one is renamed, and has its name back", "#/orgs", async (page, api, watched) => {
    watched.expect(/^400 PATCH /);
    const { org_id } = await api.post("/orgs", { name: "Flax Ltd" });
    await page.goto(`/admin#/orgs/${org_id}`);
    await button(page, "Rename…").click();
    await page.getByLabel("Name", { exact: true }).fill("   ");
    await answer(page, "Rename");
    await page.locator("#f-name[aria-invalid=true]").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("Linen Ltd");
    await watched.look("org-rename");
    await answer(page, "Rename");
    await page.getByRole("heading", { level: 1, name: "Linen Ltd" }).waitFor();
    assert.equal((await api.get(`/orgs/${org_id}`)).name, "Linen Ltd");
    await page.locator(".toast", { hasText: "It is called Linen Ltd now" }).getByRole("button", { name: "Undo" }).click();
    await page.getByRole("heading", { level: 1, name: "Flax Ltd" }).waitFor();
  });

  signedIn("one is given to another member after its name was typed", "#/orgs", async (page, api, watched) => {
    const org = await api.post("/orgs", { name: "Heirloom Ltd" });
    await page.goto(`/admin#/orgs/${org.org_id}`);
    await button(page, "Give away…").click();
    await toast(page, "nobody else");
    const { api: theirs } = await customer("heir@weft.example", "Hedda Heir");
    await joins(api, org, theirs, "heir@weft.example", "member");
    await button(page, "Give away…").click();
    await dialog(page).getByText("You become an admin").waitFor();
    assert.deepEqual(await page.getByLabel("New owner").locator("option").allInnerTexts(), ["Hedda Heir, heir@weft.example"]);
    assert.ok(await dialog(page).getByRole("button", { name: "Give it away" }).isDisabled(), "its name is typed first");
    await page.getByLabel(/to confirm/).fill("Heirloom Ltd");
    await watched.look("org-transfer");
    await answer(page, "Give it away");
    await toast(page, "belongs to heir@weft.example now");
    await row(page, "heir@weft.example").getByText("owner", { exact: true }).waitFor();
    await row(page, OPERATOR.email).getByText("admin", { exact: true }).waitFor();
    assert.equal((await theirs.get(`/orgs/${org.org_id}`)).role, "owner");
    // Operators act as the owner of any.
    await button(page, "Give away…").click();
    await dialog(page).getByText("heir@weft.example becomes an admin").waitFor();
    await page.getByLabel(/to confirm/).fill("Heirloom Ltd");
    await answer(page, "Give it away");
    await row(page, OPERATOR.email).getByText("owner", { exact: true }).waitFor();
    await part(page, "History");
    const given = page.locator(".history li", { hasText: "Organisation given to another member" }).first();
    await given.getByText("from: heir@weft.example").waitFor();
    await given.getByText(`to: ${OPERATOR.email}`).waitFor();
    // Its people are what it is: who came, and who went, whom the list of members does not know any more.
    const entry = (/** @type {string} */ text) => page.locator(".history li", { hasText: text }).first();
    await entry("Invited to join heir@weft.example").waitFor();
    await entry("Joined heir@weft.example").waitFor();
    assert.equal(await entry("Invited to join heir@weft.example").getByText("e-mail:").count(), 0, "it is told once");
    assert.equal(await entry("Joined heir@weft.example").getByText("by heir@weft.example").count(), 0, "they did so themselves");
    await api.delete(`/orgs/${org.org_id}/members/${(await theirs.get("/users/me")).user_id}`);
    await page.reload();
    await entry("Member removed heir@weft.example").getByText(`by ${OPERATOR.email}`).waitFor();
    await watched.look("org-history-people");
  });

  signedIn("whom the server does not know is asked for once", "#/orgs", async (page, api, watched) => {
    watched.expect(/^404 GET .*admin\/users/);
    const org = await api.post("/orgs", { name: "Forgetful Ltd" });
    const nobody = "00000000-0000-7000-8000-00000000dead";
    let asked = 0;
    page.on("request", (request) => { asked += Number(request.url().endsWith(`/admin/users/${nobody}`)); });
    await page.route(/\/admin\/audit\?/, async (route) => {
      const response = await route.fetch();
      const body = await response.json();
      body.items.unshift({ ...body.items[0], audit_id: nobody, action: "member.removed", subject: nobody });
      await route.fulfill({ response, json: body });
    });
    await page.goto(`/admin#/orgs/${org.org_id}`);
    for (let time = 0; time < 2; time += 1) {
      await part(page, "History");
      await page.locator(".history li", { hasText: "…00000000dead" }).waitFor();
      await part(page, "People");
    }
    assert.equal(asked, 1);
  });

  signedIn("a team is made, renamed, filled, given seats of a licence, and deleted", "#/orgs", async (page, api, watched) => {
    watched.expect(/^409 /);
    const org = await api.post("/orgs", { name: "Weaving Mill Ltd" });
    const license = await api.post("/admin/licenses", { org_id: org.org_id, max_concurrent_seats: 5 });
    await page.goto(`/admin#/orgs/${org.org_id}`);
    await part(page, "Teams");
    await page.getByText("No teams yet.").waitFor();
    await watched.look("org-teams-none");
    await button(page, "New team…").click();
    await page.getByLabel("Name", { exact: true }).fill("Weavers");
    await answer(page, "Make it");
    await toast(page, "The team Weavers is there");
    await button(page, "New team…").click();
    await page.getByLabel("Name", { exact: true }).fill("weavers");
    await answer(page, "Make it");
    await dialog(page).getByRole("alert").getByText("the name of another one").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("Dyers");
    await answer(page, "Make it");
    await toast(page, "The team Dyers is there");
    await row(page, "Dyers").getByRole("button", { name: "Rename…" }).click();
    await page.getByLabel("Name", { exact: true }).fill("Spinners");
    await answer(page, "Rename");
    await row(page, "Spinners").waitFor();
    await watched.look("org-teams");
    await row(page, "Spinners").getByRole("button", { name: "Delete…" }).click();
    await watched.accessible("deleting a team");
    await answer(page, "Delete");
    await toast(page, "is deleted");

    await row(page, "Weavers").getByRole("link").click();
    await page.getByText("Nobody belongs to it yet.").waitFor();
    await button(page, "Add somebody…").click();
    await page.getByLabel("As").selectOption("maintainer");
    await watched.look("org-team-add");
    await answer(page, "Add");
    await row(page, "olga@vendor.example").getByText("maintainer", { exact: true }).waitFor();
    await row(page, "olga@vendor.example").getByRole("button", { name: "Make member" }).click();
    await row(page, "olga@vendor.example").getByText("member", { exact: true }).waitFor();
    await button(page, "Add a licence…").click();
    await page.locator("#f-seats_reserved").fill("9");
    await answer(page, "Let them use it");
    await dialog(page).getByRole("alert").waitFor();
    await page.locator("#f-seats_reserved").fill("3");
    await answer(page, "Let them use it");
    await row(page, license.license_key).getByText("3 of 5").waitFor();
    await watched.look("org-team");
    await row(page, license.license_key).getByRole("button", { name: "Seats…" }).click();
    await page.locator("#f-seats_reserved").fill("4");
    await answer(page, "Change");
    await row(page, license.license_key).getByText("4 of 5").waitFor();
    await row(page, license.license_key).getByRole("button", { name: "Take back" }).click();
    await page.locator(".toast", { hasText: "may not use it" }).getByRole("button", { name: "Undo" }).click();
    await row(page, license.license_key).getByText("4 of 5").waitFor();
    await row(page, "olga@vendor.example").getByRole("button", { name: "Leave" }).click();
    await page.getByText("Nobody belongs to it yet.").waitFor();
    await button(page, "Delete…").click();
    await answer(page, "Delete");
    await page.getByText("No teams yet.").waitFor();
  });

  signedIn("a project is made, filled, archived and deleted", "#/orgs", async (page, api, watched) => {
    const org = await api.post("/orgs", { name: "Dye Works Ltd" });
    const license = await api.post("/admin/licenses", { org_id: org.org_id, max_concurrent_seats: 2 });
    await page.goto(`/admin#/orgs/${org.org_id}?part=projects`);
    await page.getByText("No projects yet.").waitFor();
    await watched.accessible("no projects");
    await button(page, "New project…").click();
    await page.getByLabel("Name", { exact: true }).fill("Indigo");
    await answer(page, "Make it");
    await row(page, "Indigo").getByRole("link").click();
    await page.getByText("No licence is in it.").waitFor();
    await button(page, "Add a licence…").click();
    await answer(page, "Add");
    await row(page, license.license_key).waitFor();
    await watched.look("org-project");
    await row(page, license.license_key).getByRole("button", { name: "Take out" }).click();
    await page.getByText("No licence is in it.").waitFor();
    await page.getByRole("link", { name: "← Projects" }).click();
    await row(page, "Indigo").getByRole("button", { name: "Rename…" }).click();
    await page.getByLabel("Name", { exact: true }).fill("Madder");
    await answer(page, "Rename");
    await row(page, "Madder").getByRole("button", { name: "Archive" }).click();
    await row(page, "Madder").getByText("archived").waitFor();
    await watched.look("org-projects");
    await row(page, "Madder").getByRole("button", { name: "Open again" }).click();
    await row(page, "Madder").getByRole("button", { name: "Archive" }).waitFor();
    await row(page, "Madder").getByRole("button", { name: "Delete…" }).click();
    await answer(page, "Delete");
    await page.getByText("No projects yet.").waitFor();
  });

  signedIn("a domain shows the record that proves it, is looked for, confirmed, joined by and removed", "#/orgs", async (page, api, watched) => {
    watched.expect(/^(400|409|422|503) POST \/api\/v1\/orgs\/[^/]+\/domains/);
    const org = await api.post("/orgs", { name: "Bobbin Ltd" });
    await page.goto(`/admin#/orgs/${org.org_id}?part=access`);
    await button(page, "Add a domain…").click();
    await page.getByLabel("Domain", { exact: true }).fill("gmail.com");
    await answer(page, "Add");
    await dialog(page).locator(".wrong").getByText("everybody can have an address").waitFor();
    await page.getByLabel("Domain", { exact: true }).fill("bobbin.example");
    await answer(page, "Add");
    await toast(page, "waits for its record");
    const [known] = (await api.get(`/orgs/${org.org_id}/domains`)).items;
    const one = page.locator(".domains li", { hasText: "bobbin.example" });
    await one.getByText(known.record_value).waitFor();
    await one.getByRole("button", { name: `Copy ${known.record_value}` }).or(one.getByTitle(`Copy ${known.record_value}`)).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), known.record_value);
    await button(page, "Check now").click();
    await one.getByRole("alert").waitFor();
    await watched.look("org-domain");
    await button(page, "Confirm by hand…").click();
    await answer(page, "Confirm");
    await one.getByText("proved by hand").waitFor();
    await button(page, "Joining…").click();
    await page.getByLabel("What happens").selectOption("billing");
    await answer(page, "Change");
    await one.getByText("people join as billing").waitFor();
    await watched.look("org-domain-proved");
    await one.getByRole("button", { name: "Remove…" }).click();
    await answer(page, "Remove");
    await page.getByText("No domain yet.").waitFor();
  });
});

describe("an organisation's directory", () => {
  signedIn("gets a token that is shown once, keeps its teams to itself, and is told no more after the last was revoked", "#/orgs", async (page, api, watched) => {
    const org = await api.post("/orgs", { name: "Shuttle Ltd" });
    await page.goto(`/admin#/orgs/${org.org_id}?part=access`);
    const base = `/api/v1/orgs/${org.org_id}/scim/v2`;
    await page.getByText(base).waitFor();
    await watched.look("org-provisioning-none");
    await button(page, "Make a token…").click();
    await page.getByLabel("Name", { exact: true }).fill("Entra ID");
    await watched.look("org-provisioning-form");
    await answer(page, "Make the token");
    const secret = await dialog(page).locator(".secret code").innerText();
    assert.match(secret, /^cds_/);
    await dialog(page).getByText(base).waitFor();
    await dialog(page).locator(".secret button").click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
    await watched.look("org-provisioning-secret");
    await dialog(page).getByText("Close", { exact: true }).click();
    await row(page, "Entra ID").getByText("never").first().waitFor();
    assert.ok(!(await page.content()).includes(secret), "the secret is not shown again");
    await house.server.mail(OPERATOR.email, "A directory can provision Shuttle Ltd");

    const group = await fetch(`${house.server.url}${base}/Groups`, {
      method: "POST", headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/scim+json" },
      body: JSON.stringify({ displayName: "Throwers" }),
    });
    assert.equal(group.status, 201);
    const me = await api.get("/users/me");
    const { id } = await group.json();
    const patched = await fetch(`${house.server.url}${base}/Groups/${id}`, {
      method: "PATCH", headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/scim+json" },
      body: JSON.stringify({ Operations: [{ op: "add", path: "members", value: [{ value: me.user_id }] }] }),
    });
    assert.equal(patched.status, 200);
    await api.post(`/orgs/${org.org_id}/teams`, { name: "Weavers" });
    await part(page, "Teams");
    await row(page, "Throwers").getByText("kept by the directory").waitFor();
    assert.equal(await row(page, "Throwers").getByRole("button").count(), 0);
    await row(page, "Weavers").getByRole("button", { name: "Rename…" }).waitFor();
    await watched.look("org-teams-provisioned");
    await row(page, "Throwers").getByRole("link").click();
    await row(page, OPERATOR.email).getByRole("button", { name: "Make maintainer" }).waitFor();
    for (const name of ["Add somebody…", "Rename…", "Delete…", "Leave", "Take out"]) assert.equal(await button(page, name).count(), 0, name);
    await button(page, "Add a licence…").waitFor();
    await watched.look("org-team-provisioned");

    await part(page, "Sign-in");
    await button(page, "Make a token…").click();
    await page.getByLabel("Name", { exact: true }).fill("Okta");
    await page.getByLabel("Expires after").selectOption("");
    await answer(page, "Make the token");
    await dialog(page).getByText("Close", { exact: true }).click();
    await row(page, "Okta").waitFor();
    assert.equal(await button(page, "Make a token…").count(), 0, "there are two at most");
    await watched.look("org-provisioning");
    await row(page, "Okta").getByRole("button", { name: "Revoke…" }).click();
    await dialog(page).getByText("The other token goes on.").waitFor();
    await answer(page, "Revoke");
    await toast(page, "is revoked");
    await row(page, "Entra ID").getByRole("button", { name: "Revoke…" }).click();
    await dialog(page).getByText("become ordinary ones").waitFor();
    await watched.look("org-provisioning-last");
    await answer(page, "Revoke");
    await page.getByText("can keep the people and groups").waitFor();
    await part(page, "Teams");
    await row(page, "Throwers").getByRole("button", { name: "Rename…" }).waitFor();
    assert.equal(await page.getByText("kept by the directory").count(), 0);
  });
});

describe("people who are no operators", () => {
  visit("give away what was made for them and get another of their own", async (page, watched) => {
    const [gives, gets] = ["gives@weft.example", "gets@weft.example"];
    const { answer: signed, api } = await customer(gives, "Gitta Gives");
    const { api: theirs } = await customer(gets, "Gero Gets");
    const [own] = (await api.get("/orgs")).items;
    await joins(api, own, theirs, gets, "member");
    await enter(page, signed.refresh_token);
    await page.goto(`/admin#/orgs/${own.org_id}`);
    await button(page, "Give away…").click();
    await dialog(page).getByText("You become an admin").waitFor();
    await dialog(page).getByText("you get a new one of your own").waitFor();
    await page.getByLabel(/to confirm/).fill(own.name);
    await watched.look("own-org-transfer");
    await answer(page, "Give it away");
    await toast(page, `belongs to ${gets} now`);
    await row(page, gives).getByText("admin", { exact: true }).waitFor();
    await button(page, "Give away…").waitFor({ state: "detached" });
    await button(page, "Rename…").waitFor();
    const now = (await api.get("/orgs")).items;
    assert.deepEqual(now.map((/** @type {any} */ each) => [each.personal, each.role]), [[true, "owner"], [false, "admin"]]);
  });

  visit("look after their own organisation, each as far as their role goes", async (page, watched) => {
    const [wanda, milo] = [await customer("wanda@weft.example", "wanda"), await customer("milo@weft.example", "milo")];
    await page.goto("/admin");
    await page.getByLabel("E-mail address").fill("wanda@weft.example");
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await button(page, "Sign in").click();
    await page.getByRole("navigation", { name: "Screens" }).getByRole("link", { name: "Organisations" }).click();
    await button(page, "New organisation…").click();
    await page.getByLabel("Name", { exact: true }).fill("Weft Guild");
    await answer(page, "Make it");
    await page.getByRole("heading", { level: 1, name: "Weft Guild" }).waitFor();
    const org_id = page.url().split("/").pop()?.split("?")[0];
    await watched.look("own-organisation");
    await button(page, "Invite…").click();
    await page.getByLabel("E-mail").fill("milo@weft.example");
    await answer(page, "Invite");
    await toast(page, "is asked to join");
    const mail = await house.server.mail("milo@weft.example", "Organisation:  Weft Guild");
    await milo.api.post("/invitations/accept", { token: mail.match(/token=([A-Za-z0-9_-]+)/)?.[1] });
    await part(page, "Teams");
    await button(page, "New team…").click();
    await page.getByLabel("Name", { exact: true }).fill("Weavers");
    await answer(page, "Make it");
    await row(page, "Weavers").getByRole("link").click();
    await button(page, "Add somebody…").click();
    await page.getByLabel("Who").selectOption({ label: "milo, milo@weft.example" });
    await answer(page, "Add");
    await row(page, "milo@weft.example").waitFor();
    await page.getByText("None yet. Seats of a licence").waitFor();
    await part(page, "Sign-in");
    await button(page, "Set it up…").waitFor();
    assert.equal(await page.getByRole("link", { name: "History" }).count(), 0);
    await page.getByRole("link", { name: "← Your organisations" }).click();
    await row(page, "Weft Guild").getByText("owner").waitFor();
    await watched.look("own-organisations");
    await button(page, "Sign out").click();

    await page.getByLabel("E-mail address").fill("milo@weft.example");
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await button(page, "Sign in").click();
    await page.goto(`/admin#/orgs/${org_id}`);
    await row(page, "milo@weft.example").getByRole("button", { name: "Leave…" }).waitFor();
    assert.deepEqual(await page.locator("main#main button:not(.copy)").allInnerTexts(), ["Leave…"], "a member changes nothing");
    assert.deepEqual(await page.locator(".parts a").allInnerTexts(), ["People", "Teams", "Projects"]);
    await part(page, "Teams");
    await row(page, "Weavers").getByRole("link").click();
    await row(page, "milo@weft.example").getByRole("button", { name: "Leave" }).click();
    await page.getByText("Nobody belongs to it yet.").waitFor();
    await part(page, "People");
    await row(page, "milo@weft.example").getByRole("button", { name: "Leave…" }).click();
    await answer(page, "Leave");
    await toast(page, "You do not belong to Weft Guild");
    assert.equal((await wanda.api.get(`/orgs/${org_id}/members`)).items.length, 1);
  });
});

describe("an organisation's single sign-on", () => {
  /** @type {Server} */
  let server;
  /** @type {import("node:child_process").ChildProcess} */
  let issuer;
  let address = "";

  before(async () => {
    issuer = spawn("node", [fileURLToPath(new URL("../oidc.js", import.meta.url)), "mock"], { stdio: ["ignore", "pipe", "ignore"] });
    const lines = createInterface({ input: /** @type {import("node:stream").Readable} */ (issuer.stdout) });
    const line = await new Promise((done) => lines.once("line", done));
    address = String(line).split(" ")[1];
    server = await Server.start({ CODITECT_OIDC_ALLOW_PRIVATE_ISSUERS: "true" });
    await operator(server);
  });
  after(async () => {
    issuer.kill();
    await server.remove();
  });

  signedIn("is set up with groups, told what is wrong with a field, changed without its secret, and removed", "#/orgs", async (page, api, watched) => {
    watched.expect(/^400 PUT \/api\/v1\/orgs\/[^/]+\/sso$/);
    const org = await api.post("/orgs", { name: "Loom Ltd" });
    await page.goto(`/admin#/orgs/${org.org_id}`);
    await part(page, "Sign-in");
    const back = `/api/v1/auth/oidc/org/${org.org_id}/callback`;
    await page.getByText(back).waitFor();
    await watched.look("org-sso-none");
    await button(page, "Set it up…").click();
    await page.getByLabel("Issuer").fill("http://127.0.0.1:9");
    await page.getByLabel("Client id").fill("coditect");
    await page.getByLabel("Client secret").fill("kept to itself");
    await answer(page, "Set it up");
    await dialog(page).locator("#f-group_0-wrong").getByText("at least one group").waitFor();
    await watched.look("org-sso-nobody");
    await page.locator("#f-group_0").fill("it");
    await page.getByLabel("makes people of group 1").selectOption("admin");
    await page.locator("#f-group_1").fill("staff");
    await page.getByLabel("makes people of group 2").selectOption("member");
    await page.locator("#f-group_2").waitFor();
    await answer(page, "Set it up");
    await dialog(page).locator("#f-issuer-wrong").waitFor();
    await watched.look("org-sso-form");
    await page.getByLabel("Issuer").fill(address);
    await answer(page, "Set it up");
    await toast(page, "is set up");
    await page.getByText("does not belong to it").waitFor();
    await watched.look("org-sso");
    assert.ok(!(await page.content()).includes("kept to itself"), "the secret is not shown");
    await button(page, "Change…").click();
    assert.equal(await page.getByLabel("Client secret").inputValue(), "");
    assert.equal(await page.locator("#f-group_1").inputValue(), "staff");
    await page.locator("#f-group_0").fill("");
    await page.getByLabel("Everybody else is").selectOption("member");
    await answer(page, "Change");
    await toast(page, "is changed");
    const sso = await api.get(`/orgs/${org.org_id}/sso`);
    assert.deepEqual([sso.has_client_secret, sso.groups, sso.default_role], [true, [{ group: "staff", role: "member" }], "member"]);
    await button(page, "Remove…").click();
    await watched.accessible("removing single sign-on");
    await answer(page, "Remove");
    await button(page, "Set it up…").waitFor();
  }, { server: () => server });
});
