// MailDev's mail server without its pages: takes mail over TLS from whoever signs in, and tells what a reader sees.
//
//     node maildev.js FOLDER CERT KEY USER PASSWORD
//
// `ready PORT` is printed once it listens. Each mail becomes FOLDER/NNNN.json, with its HTML as it came and as MailDev
// would show it, and its attachments as texts.

import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { MemoryStorage } from "@maildev/core";
import { SMTPServer, sanitizeHtml } from "@maildev/smtp";

const [folder, certPath, keyPath, user, pass] = process.argv.slice(2);
const server = new SMTPServer({
  host: "127.0.0.1",
  port: 0,
  storage: new MemoryStorage(),
  mailDir: join(folder, "mails"),
  secure: true,
  certPath,
  keyPath,
  auth: { user, pass },
  logger: false,
});

let taken = 0;
server.on("new", async (mail) => {
  const path = join(folder, `${String(++taken).padStart(4, "0")}.json`);
  const attachments = [];
  for (const { filename, contentType, generatedFileName } of mail.attachments ?? []) {
    const { stream } = await server.getEmailAttachment(mail.id, generatedFileName);
    attachments.push({ filename, contentType, text: await text(stream) });
  }
  const { from, to, subject, headers, html } = mail;
  const told = { from, to, subject, headers, text: mail.text, html, shown: sanitizeHtml(html), attachments };
  // Whoever looks finds the whole of it or nothing.
  writeFileSync(`${path}.new`, JSON.stringify(told));
  renameSync(`${path}.new`, path);
});

await server.start();
console.log("ready", server.getPort());
