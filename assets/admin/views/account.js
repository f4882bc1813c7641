// One's own account: who one is, the ways to sign in, where one has, the keys of one's programs, and the end of it.

import { account } from "../api.js";
import { html } from "../lib.js";
import { Head, Note, Section } from "../ui.js";
import { ApiKeys } from "./api-keys.js";
import { CloseAccount } from "./close-account.js";
import { Identities } from "./identities.js";
import { Password, Profile } from "./profile.js";
import { SecondFactor } from "./second-factor.js";
import { SignIns } from "./sign-ins.js";

export default function Account() {
  return html`<${Head} title="Your account" />
    ${account.value?.operator === false && html`<${Note}><p>This page is for the operators of this server, and for you to look after your account and <a href="#/orgs">your organisations</a>.
      Licences and seats are reached through the <a href="/docs">API</a>.</p><//>`}
    <${Profile} />
    <${Password} />
    <${Section} title="Two-step sign-in"><div class="text"><${SecondFactor} /></div><//>
    <${Identities} />
    <${SignIns} />
    <${ApiKeys} />
    <${CloseAccount} />`;
}
