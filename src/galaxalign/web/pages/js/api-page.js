// The description of the REST API as a page, from /api/v1/openapi.json.

import { h } from "./dom.js";

const named = (reference) => reference.split("/").at(-1);

/** A type in a few words. */
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return named(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(kind).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${kind(schema.items) || "anything"}`;
  return schema.format === "binary" || schema.contentMediaType ? "file" : (schema.type ?? "anything");
}

const line = (name, schema, required) =>
  `${name}: ${kind(schema)}${required ? "" : schema.default !== undefined ? ` = ${JSON.stringify(schema.default)}` : " (optional)"}${schema.description ? `    # ${schema.description.split("\n")[0]}` : ""}`;

const fields = (schema) => Object.entries(schema.properties ?? {}).map(([name, one]) => line(name, one, schema.required?.includes(name))).join("\n");

function operation(method, path, one) {
  const given = (one.parameters ?? []).map((parameter) => line(parameter.name, parameter.schema, parameter.required)).join("\n");
  const body = Object.entries(one.requestBody?.content ?? {}).map(([type, content]) => `${type}: ${kind(content.schema)}`).join("\n");
  const answers = Object.entries(one.responses).map(([status, answer]) => {
    const types = Object.entries(answer.content ?? {}).map(([type, content]) => kind(content.schema) || type);
    return `${status}: ${types.join(" | ") || answer.description}`;
  });
  return h("details", {}, h("summary", {}, h("b", {}, method.toUpperCase()), h("code", {}, path), ` ${(one.description ?? one.summary ?? "").split("\n")[0]}`),
    given && h("h3", {}, "Parameters"), given && h("pre", {}, given), body && h("h3", {}, "Body"), body && h("pre", {}, body),
    h("h3", {}, "Answers"), h("pre", {}, answers.join("\n")));
}

async function start() {
  const api = await (await fetch("/api/v1/openapi.json")).json();
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, one] of Object.entries(methods)) {
      const group = one.tags?.[0] ?? "other";
      groups.set(group, [...(groups.get(group) ?? []), operation(method, path, one)]);
    }
  const types = Object.entries(api.components.schemas).filter(([, schema]) => schema.properties);
  document.querySelector("#api").replaceChildren(
    h("h1", {}, `${api.info.title} ${api.info.version}: REST API`), h("p", {}, api.info.description, " The same as ", h("a", { href: "/api/v1/openapi.json" }, "OpenAPI"), "."),
    ...[...groups].flatMap(([name, operations]) => [h("h2", {}, name), ...operations]),
    h("h2", {}, "Types"), ...types.map(([name, schema]) => h("details", {}, h("summary", {}, h("code", {}, name), ` ${(schema.description ?? "").split("\n")[0]}`), h("pre", {}, fields(schema)))));
}

start();
