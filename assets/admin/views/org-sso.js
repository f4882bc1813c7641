// The issuer that an organisation names for its members.

import { Problem, call } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Copy, Empty, Facts, Loading, Section } from "../ui.js";
import { ROLES, may } from "./org-rights.js";

/**
 * @typedef {import("./org-rights.js").Org} Org
 *
 * @typedef {object} Sso
 * @property {string} issuer
 * @property {string} client_id
 * @property {boolean} has_client_secret
 * @property {string} scopes
 * @property {string} groups_claim
 * @property {{ group: string, role: string }[]} groups
 * @property {string | null} default_role
 * @property {string} changed_at
 *
 * @typedef {{ set: boolean, start_url: string, redirect_uri: string }} Addresses
 */

/** @param {{ org: Org }} props */
export function SingleSignOn({ org }) {
  const path = `/orgs/${org.org_id}/sso`;
  const { data, problem } = usePoll(async () => {
    /** @type {Addresses} */
    const addresses = await call("GET", `${path}/addresses`);
    return { addresses, sso: addresses.set ? /** @type {Sso} */ (await call("GET", path)) : null };
  }, 30_000, [org.org_id]);
  const owns = may(org, "org.own");
  const sso = data?.sso;
  const remove = () => ask({
    title: "Remove single sign-on",
    text: html`<p>Nobody is signed in to <strong>${org.name}</strong> through <code>${sso?.issuer}</code> any more. Who belongs to it stays; whoever has no
      other way to sign in asks for a link to set a password.</p>`,
    action: "Remove", danger: true,
    async submit() {
      await call("DELETE", path);
      toast("Single sign-on is removed.");
    },
  });
  const redirect = data && html`<code>${data.addresses.redirect_uri}</code> <${Copy} text=${data.addresses.redirect_uri} />`;
  return html`<${Section} title="Single sign-on" actions=${owns && sso && html`<button onClick=${() => change(org, data.addresses, sso)}>Change…</button>
      <button class="quiet-danger" onClick=${remove}>Remove…</button>`}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && !sso && html`<${Empty}><p>Members can sign in where they do at work: through an issuer of the organisation's own that speaks OpenID Connect, such as
        Entra ID, Okta, Keycloak or Google Workspace. Its groups say what they are here.</p>
      <p>Register this server there first, as a web application with this address to go back to:<span class="block">${redirect}</span></p>
      ${owns ? html`<p><button class="main" onClick=${() => change(org, data.addresses, null)}>Set it up…</button></p>` : html`<p class="soft">The owner of the organisation sets it up.</p>`}<//>`}
    ${sso && html`<${Facts} of=${[
      ["Issuer", html`<code>${sso.issuer}</code>`],
      ["Client id", html`<code>${sso.client_id}</code>`],
      ["Client secret", sso.has_client_secret ? "kept, and never shown" : html`<span class="soft">none</span>`],
      ["Asked for", html`<code>${sso.scopes}</code>`],
      [html`Groups in <code>${sso.groups_claim}</code>`, sso.groups.length
        ? html`<ul class="features">${sso.groups.map((each) => html`<li key=${each.group}><strong>${each.group}</strong> makes ${article(each.role)}</li>`)}</ul>` : html`<span class="soft">make nobody anything</span>`],
      ["Everybody else", sso.default_role ? `is ${article(sso.default_role)}` : "does not belong to it"],
      ["Members begin at", html`<code>${data.addresses.start_url}</code> <${Copy} text=${data.addresses.start_url} />`],
      ["Goes back to", redirect],
      ["Changed", html`<${Ago} at=${sso.changed_at} />`],
    ]} />`}<//>`;
}

/** @param {string} role */
function article(role) {
  return role === "admin" ? "an admin" : role === "billing" ? "billing" : `a ${role}`;
}

const GROUP = "group_";
const ROLE = "role_";
const GROUPS_MAX = 100;
/** For whoever no group makes anything. */
const NOBODY = "nobody";

/** Asks for the issuer; as many groups as one likes, one row more than are filled. @param {Org} org @param {Addresses} addresses @param {Sso | null} sso */
function change(org, addresses, sso) {
  /** @param {Record<string, any>} values */
  const rows = (values) => {
    const filled = Object.keys(values).filter((name) => name.startsWith(GROUP) && values[name]).map((name) => Number(name.slice(GROUP.length)));
    return Array.from({ length: Math.min(Math.max(-1, ...filled) + 2, GROUPS_MAX) }, (_, index) => index);
  };
  /** @type {(values: any) => import("../form.js").FieldSpec[]} */
  const fields = (values) => [
    { name: "issuer", label: "Issuer", placeholder: "https://login.example.com", hint: "As its discovery document writes it. It is asked at once." },
    { name: "client_id", label: "Client id", hint: "What the issuer calls this server.", half: true },
    { name: "client_secret", label: "Client secret", type: "password", optional: true, half: true, hint: sso?.has_client_secret ? "Left empty, the one before stays." : "Kept sealed, and never shown." },
    { name: "scopes", label: "Scopes", half: true, optional: true, hint: "What is asked of it." },
    { name: "groups_claim", label: "Claim of groups", half: true, optional: true, hint: "What lists a person's groups." },
    ...rows(values).flatMap((index) => /** @type {import("../form.js").FieldSpec[]} */ ([
      { name: `${GROUP}${index}`, label: `Group ${index + 1}`, half: true, optional: true, hint: index ? undefined : "As the issuer calls it; the first that fits counts." },
      { name: `${ROLE}${index}`, label: `makes people of group ${index + 1}`, type: "select", half: true, options: ROLES },
    ])),
    { name: "default_role", label: "Everybody else is", type: "select", options: [[NOBODY, "Nobody: they do not belong to it"], ...ROLES] },
  ];
  /** @type {Record<string, any>} */
  const values = { issuer: "", client_id: "", scopes: "openid email profile", groups_claim: "groups", ...sso, client_secret: "", default_role: sso?.default_role ?? NOBODY };
  for (let index = 0; index < GROUPS_MAX; index += 1) values[`${ROLE}${index}`] = "member";
  (sso?.groups ?? []).forEach((each, index) => {
    values[`${GROUP}${index}`] = each.group;
    values[`${ROLE}${index}`] = each.role;
  });
  return ask({
    title: `Single sign-on of ${org.name}`,
    text: html`<p>The issuer leads people back to <code>${addresses.redirect_uri}</code> <${Copy} text=${addresses.redirect_uri} /></p>`,
    fields, values, wide: true,
    action: sso ? "Change" : "Set it up",
    async submit(given) {
      const groups = rows(given).filter((index) => given[`${GROUP}${index}`]?.trim())
        .map((index) => ({ group: given[`${GROUP}${index}`].trim(), role: given[`${ROLE}${index}`], index }));
      try {
        await call("PUT", `/orgs/${org.org_id}/sso`, {
          issuer: given.issuer.trim(), client_id: given.client_id.trim(), client_secret: given.client_secret || undefined,
          scopes: given.scopes || undefined, groups_claim: given.groups_claim || undefined,
          groups: groups.map(({ group, role }) => ({ group, role })), default_role: given.default_role === NOBODY ? null : given.default_role,
        });
      } catch (problem) {
        if (problem instanceof Problem) placed(problem, groups[0]?.index ?? 0);
        throw problem;
      }
      toast(sso ? "Single sign-on is changed." : "Single sign-on is set up.");
    },
  });
}

/** Puts what is wrong with groups where a group is asked for. @param {Problem} problem @param {number} index */
function placed(problem, index) {
  for (const [field, message] of Object.entries(problem.fields)) {
    if (!field.startsWith("groups") || field === "groups_claim") continue;
    delete problem.fields[field];
    problem.fields[`${GROUP}${index}`] ??= message;
  }
}
