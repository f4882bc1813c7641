// The phone that a second factor is on.

import { createHmac } from "node:crypto";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** An authenticator app that never shows a code twice: it is ahead by what is allowed, not to wait. */
export class Phone {
  /** @param {string} secret in base32 */
  constructor(secret) {
    const bits = [...secret.replaceAll(" ", "")].map((each) => ALPHABET.indexOf(each).toString(2).padStart(5, "0")).join("");
    this.key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
    this.last = 0;
  }

  code() {
    const now = Math.floor(Date.now() / 30_000);
    this.last = Math.max(this.last + 1, now - 1);
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(this.last));
    const mac = createHmac("sha1", this.key).update(counter).digest();
    return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
  }
}
