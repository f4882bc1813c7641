"""Reads a webhook delivery as programs of Stripe's customers do.

Standard input: a JSON object with `body`, `header` and `secret`. Prints the event's type, or `refused`.
"""

import json
import sys

import stripe


def main() -> None:
    given = json.load(sys.stdin)
    try:
        event = stripe.Webhook.construct_event(given["body"], given["header"], given["secret"])
    except stripe.SignatureVerificationError:
        print("refused")
    else:
        print(event.type)


main()
