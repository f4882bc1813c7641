"""localstripe, a Stripe that others wrote: on loopback, and in memory alone.

    local_stripe.py

It takes any key that begins with `sk_`, and `ready PORT` is printed once it listens.
"""

import socket

from aiohttp import web
from localstripe.resources import store
from localstripe.server import app


@web.middleware
async def without_expand(request: web.Request, handler) -> web.StreamResponse:
    """It refuses to expand what is younger than itself, such as an invoice's payments."""
    if request.method == "GET":
        request = request.clone(rel_url=request.rel_url.without_query_params("expand[]"))
    return await handler(request)


def main() -> None:
    # Otherwise all it knows is written to a file in /tmp with every change.
    store.dump_to_disk = lambda: None
    app.middlewares.insert(0, without_expand)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    web.run_app(app, sock=listener, print=lambda _: print("ready", port, flush=True))


main()
