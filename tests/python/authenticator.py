"""The authenticator of soft-webauthn, asked line by line in JSON as a browser page writes it.

It asks nobody for a finger or a code, and says so in its flags. With --unlocked it says that it did, as a
device does that was unlocked; nothing else of it is changed.
"""

import base64
import inspect
import json
import sys

import soft_webauthn

source = inspect.getsource(soft_webauthn)
if "--unlocked" in sys.argv:
    for locked, unlocked in (("b'\\x41'", "b'\\x45'"), ("b'\\x01'", "b'\\x05'")):
        assert source.count(locked) == 1
        source = source.replace(locked, unlocked)
module = {}
exec(source, module)  # pylint: disable=exec-used
device = module["SoftWebauthnDevice"]()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


for line in sys.stdin:
    asked = json.loads(line)
    options = asked["options"]
    options["challenge"] = decoded(options["challenge"])
    if asked["do"] == "create":
        options["user"]["id"] = decoded(options["user"]["id"])
        credential = device.create({"publicKey": options}, asked["origin"])
    else:
        credential = device.get({"publicKey": options}, asked["origin"])
    response = {name: encoded(value) for name, value in credential["response"].items()}
    print(json.dumps({"id": encoded(credential["rawId"]), "type": credential["type"], "response": response}), flush=True)
