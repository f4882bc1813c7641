"""A mail server for tests: the recipient's local part chooses its answers.

    smtpd.py PORT FOLDER [--tls CERT KEY | --starttls CERT KEY] [--auth USER PASSWORD] [--slow SECONDS]

`ok` and whatever is not named here: taken, and kept as FOLDER/NNNN.eml with NNNN.json beside it.
`r421 r450 r550 ...`: that answer at RCPT; after r421 the connection is closed.
`d452 d554 ...`: that answer to the message.
`relay`: the server does not relay.      `drop`: the connection is closed at RCPT without an answer.
`dropdata`: the message is kept, and the connection closed before it is said so.
`slow`: an answer to RCPT after SECONDS.  `slowdata`: the message is kept, and said so after SECONDS.
`flakyN`: 450 for the first N attempts.
What follows a `+` or `-` in the local part is for telling mails apart. With PORT 0 one is chosen; `ready PORT` is
printed once the server listens. With --starttls or --auth nothing is taken before that was done.
"""

import argparse
import asyncio
import collections
import email
import itertools
import json
import pathlib
import re
import signal
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

TEXTS = {
    "421": "4.3.2 closing",
    "450": "4.2.1 mailbox busy",
    "452": "4.2.2 mailbox full",
    "550": "5.1.1 no such user",
    "552": "5.2.2 too large",
    "554": "5.7.1 refused",
}


def kind(address):
    """What the local part asks for."""
    return re.split(r"[+\-]", address.rsplit("@", 1)[0].lower())[0]


class Handler:
    """Answers as the recipient asks, and keeps what it takes."""

    def __init__(self, folder, slow_s):
        self.folder, self.slow_s = pathlib.Path(folder), slow_s
        self.numbers, self.tries = itertools.count(1), collections.Counter()
        self.folder.mkdir(parents=True, exist_ok=True)

    async def handle_RCPT(self, server, session, envelope, address, options):
        asked = kind(address)
        if asked[:1] == "r" and asked[1:] in TEXTS:
            answer = f"{asked[1:]} {TEXTS[asked[1:]]}"
            if asked == "r421":
                await server.push(answer)
                server.transport.close()
            return answer
        if asked == "relay":
            return "554 5.7.1 Relay access denied"
        if flaky := re.fullmatch(r"flaky(\d+)", asked):
            self.tries[address] += 1
            if self.tries[address] <= int(flaky[1]):
                return f"450 {TEXTS['450']}"
        if asked == "drop":
            server.transport.abort()
            return "421 dropped"
        if asked == "slow":
            await asyncio.sleep(self.slow_s)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        asked = kind(envelope.rcpt_tos[0])
        if asked[:1] == "d" and asked[1:] in TEXTS:
            return f"{asked[1:]} {TEXTS[asked[1:]]}"
        self.keep(session, envelope)
        if asked == "slowdata":
            await asyncio.sleep(self.slow_s)
        if asked == "dropdata":
            server.transport.abort()
            return "421 dropped"
        return "250 2.0.0 accepted"

    def keep(self, session, envelope):
        path = self.folder / f"{next(self.numbers):04d}"
        path.with_suffix(".eml").write_bytes(envelope.content)
        message = email.message_from_bytes(envelope.content)
        about = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "message_id": message["Message-ID"],
            "tls": session.ssl is not None,
            "signed_in": bool(session.authenticated),
        }
        path.with_suffix(".json").write_text(json.dumps(about))


def tls_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder")
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--starttls", nargs=2)
    parser.add_argument("--auth", nargs=2)
    parser.add_argument("--slow", type=float, default=5)
    return parser.parse_args()


async def main():
    args = arguments()
    handler = Handler(args.folder, args.slow)
    options = {"hostname": "mail.test", "ident": "test"}
    if args.starttls:
        options |= {"tls_context": tls_context(args.starttls), "require_starttls": True}
    if args.auth:

        def authenticate(server, session, envelope, mechanism, data):
            given = [data.login.decode(), data.password.decode()] if isinstance(data, LoginPassword) else None
            return AuthResult(success=given == args.auth, handled=False)

        # Behind --tls the stream is encrypted already, which aiosmtpd cannot see.
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": bool(args.starttls)}
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, **options),
        "127.0.0.1",
        args.port,
        ssl=tls_context(args.tls) if args.tls else None,
    )
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await stop.wait()


asyncio.run(main())
