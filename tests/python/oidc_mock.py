"""oidc-provider-mock, an issuer that others wrote: on loopback, and in memory alone.

    oidc_mock.py

Anybody signs in by naming a subject, at whatever client; `ready PORT` is printed once it listens.
"""

import logging

from oidc_provider_mock import app
from oidc_provider_mock._storage import User
from werkzeug.serving import make_server


def main() -> None:
    logging.disable(logging.INFO)
    people = [
        User(sub="eve", claims={"email": "eve@example.com", "email_verified": True, "name": "Eve Baker"}),
        User(sub="mallory", claims={"email": "eve@example.com", "email_verified": False}),
    ]
    server = make_server("127.0.0.1", 0, app(user_claims=people), threaded=True)
    print("ready", server.server_port, flush=True)
    server.serve_forever()


main()
