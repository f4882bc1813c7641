// Reads an OpenAPI 3 document: operations by tag, references followed, examples made from schemas.

/**
 * @typedef {any} Schema an OpenAPI schema object or a reference to one
 * @typedef {{ name: string, in: string, required?: boolean, description?: string, schema: Schema, example?: any }} Parameter
 * @typedef {object} Operation
 * @property {string} id names the operation in the address bar
 * @property {string} tag
 * @property {string} method in capitals
 * @property {string} path with `{parameters}`, below the server's base path
 * @property {string} summary
 * @property {string} description
 * @property {boolean} deprecated
 * @property {Parameter[]} parameters
 * @property {{ type: string, schema: Schema, example?: any, required: boolean } | null} body
 * @property {{ status: string, description: string, type: string, schema: Schema | null, example?: any, headers: [string, string][] }[]} responses
 * @property {string[][]} security what is asked for: any one of these lists, each in full; empty: nothing
 */

// What stands in an example for a text whose schema gives none, by the name of the member.
/** @type {Record<string, string>} */
const TYPICAL = {
  currency: "EUR",
  email: "ada@example.com",
  full_name: "Ada Lovelace",
  hardware_id: "my-laptop",
  license_key: "CODITECT-XXXX-XXXX-XXXX-XXXX-XXXX",
  plan_name: "Team",
};

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
/** How deep examples and tables follow a schema before they stop. */
export const DEPTH_MAX = 6;

/** A document with its references at hand. */
export class Spec {
  /** @param {any} document */
  constructor(document) {
    this.document = document;
    const url = document.servers?.[0]?.url ?? "/";
    // Only the path counts: this page may talk to its own server and to no other.
    this.base = new URL(url, location.origin).pathname.replace(/\/$/, "");
    this.operations = this.readOperations();
    this.tags = this.readTags();
  }

  /** Follows `$ref` to what it names. @param {any} value @returns {any} */
  resolve(value) {
    for (let hops = 0; value?.$ref && hops < 16; hops++) {
      const path = String(value.$ref).replace(/^#\//, "").split("/");
      value = path.reduce((node, key) => node?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], this.document);
    }
    return value ?? {};
  }

  /** @returns {Operation[]} */
  readOperations() {
    /** @type {Operation[]} */
    const found = [];
    for (const [path, item] of Object.entries(this.document.paths ?? {})) {
      for (const method of METHODS) {
        const raw = item[method];
        if (!raw) continue;
        found.push({
          id: raw.operationId || `${method}${path.replace(/[^A-Za-z0-9]+/g, "-").replace(/-$/, "")}`,
          tag: raw.tags?.[0] ?? "Other",
          method: method.toUpperCase(),
          path,
          summary: raw.summary ?? "",
          description: withoutSummary(raw.description ?? "", raw.summary ?? ""),
          deprecated: Boolean(raw.deprecated),
          parameters: [...(item.parameters ?? []), ...(raw.parameters ?? [])].map((each) => this.resolve(each)),
          body: this.readBody(this.resolve(raw.requestBody)),
          responses: Object.entries(raw.responses ?? {}).map(([status, each]) => this.readResponse(status, this.resolve(each))),
          security: (raw.security ?? this.document.security ?? []).map((/** @type {object} */ each) => Object.keys(each)),
        });
      }
    }
    return found;
  }

  /** @param {any} body */
  readBody(body) {
    const [type, media] = preferred(body.content);
    return type ? { type, schema: media.schema, example: exampleOf(media), required: Boolean(body.required) } : null;
  }

  /** @param {string} status @param {any} response */
  readResponse(status, response) {
    const [type, media] = preferred(response.content);
    const headers = Object.entries(response.headers ?? {})
      .map(([name, each]) => /** @type {[string, string]} */ ([name, this.resolve(each).description ?? ""]));
    return { status, description: response.description ?? "", type, schema: media?.schema ?? null, example: exampleOf(media), headers };
  }

  /** Tags in the document's order, then those it does not list, each with its operations. */
  readTags() {
    const listed = (this.document.tags ?? []).map((/** @type {any} */ tag) => tag.name);
    const names = [...new Set([...listed, ...this.operations.map((each) => each.tag)])];
    return names
      .map((name) => ({
        name,
        description: this.document.tags?.find((/** @type {any} */ tag) => tag.name === name)?.description ?? "",
        operations: this.operations.filter((each) => each.tag === name),
      }))
      .filter((tag) => tag.operations.length);
  }

  /**
   * Parts that are one object together (`allOf`) as one object.
   * @param {Schema} schema @returns {any}
   */
  merged(schema) {
    const flat = this.resolve(schema);
    if (!flat.allOf) return flat;
    const { allOf, ...own } = flat;
    return allOf.map((/** @type {Schema} */ part) => this.merged(part)).reduce(
      (/** @type {any} */ sum, /** @type {any} */ part) => ({
        ...part, ...sum,
        properties: { ...part.properties, ...sum.properties },
        required: [...(part.required ?? []), ...(sum.required ?? [])],
      }), own);
  }

  /** What a security scheme asks for, in words. @param {string} name */
  credential(name) {
    const scheme = this.resolve(this.document.components?.securitySchemes?.[name]);
    if (scheme.type === "http") return `a ${scheme.scheme} token`;
    if (scheme.type === "apiKey") return `${scheme.name} in the ${scheme.in}`;
    return name;
  }

  /** The type of a schema in a few words. @param {Schema} schema @returns {string} */
  typeOf(schema, depth = 0) {
    const flat = this.merged(schema);
    const choices = flat.oneOf ?? flat.anyOf;
    if (depth > DEPTH_MAX) return "…";
    if (choices) return choices.map((/** @type {Schema} */ each) => this.typeOf(each, depth + 1)).join(" or ");
    if (flat.enum) return flat.enum.length === 1 ? JSON.stringify(flat.enum[0]) : "one of";
    const type = Array.isArray(flat.type) ? flat.type.filter((/** @type {string} */ each) => each !== "null").join(" or ") : flat.type;
    if (type === "array") return `list of ${this.typeOf(flat.items ?? {}, depth + 1)}`;
    if (flat.format && !["object", "array"].includes(type)) return `${type} (${flat.format})`;
    return type ?? (flat.properties ? "object" : "anything");
  }

  /**
   * An example that fits a schema.
   * @param {Schema} schema
   * @param {boolean} [whole] with the members that may be left out
   * @returns {any}
   */
  example(schema, whole = true, depth = 0) {
    const flat = this.merged(schema);
    const given = flat.example ?? flat.examples?.[0] ?? flat.default;
    if (given !== undefined && given !== null) return given;
    if (flat.enum) return flat.enum[0];
    const choice = (flat.oneOf ?? flat.anyOf)?.[0];
    if (choice) return this.example(choice, whole, depth + 1);
    const type = Array.isArray(flat.type) ? flat.type[0] : flat.type;
    if (type === "array") return depth > DEPTH_MAX ? [] : [this.example(flat.items ?? {}, whole, depth + 1)];
    if (type === "object" || flat.properties) {
      if (depth > DEPTH_MAX) return {};
      return Object.fromEntries(Object.entries(flat.properties ?? {})
        .filter(([name]) => whole || flat.required?.includes(name))
        .map(([name, each]) => {
          const value = this.example(each, whole, depth + 1);
          return [name, value === "string" ? TYPICAL[name] ?? value : value];
        }));
    }
    return scalar(type, flat);
  }
}

/** A description that begins with its summary, as generators write it, without that. @param {string} text @param {string} summary */
function withoutSummary(text, summary) {
  return summary && text.startsWith(summary) ? text.slice(summary.length).trim() : text;
}

/** JSON where there is a choice of media types. @param {any} content @returns {[string, any]} */
function preferred(content) {
  const entries = Object.entries(content ?? {});
  return entries.find(([type]) => type.includes("json")) ?? entries[0] ?? ["", null];
}

/** @param {any} media */
function exampleOf(media) {
  if (!media) return undefined;
  return media.example ?? /** @type {any} */ (Object.values(media.examples ?? {})[0])?.value;
}

/** @param {string | undefined} type @param {any} schema */
function scalar(type, schema) {
  if (type === "integer" || type === "number") return schema.minimum ?? 0;
  if (type === "boolean") return false;
  if (type !== "string") return null;
  switch (schema.format) {
    case "uuid": return "00000000-0000-0000-0000-000000000000";
    case "date-time": return "2026-01-31T12:00:00Z";
    case "date": return "2026-01-31";
    case "email": return "ada@example.com";
    default: return "string";
  }
}
