// The sortable table.

import * as api from "./api.js";
import { $, h, readable } from "./dom.js";
import { openGalaxy } from "./galaxy.js";
import { endless, list, reload } from "./list.js";
import { focusOn, on, state, toggle } from "./state.js";

const box = $("#table");
const lines = new Map();
let body = null;

function head() {
  const kinds = new Map(state.about.columns.map((column) => [column.name, column.kind]));
  const cells = list.columns.map((name) => {
    const sorted = list.order === name ? "ascending" : list.order === `-${name}` ? "descending" : "none";
    const sign = { ascending: " ▲", descending: " ▼", none: "" }[sorted];
    return h("th", { scope: "col", "aria-sort": sorted, class: kinds.get(name) === "number" ? "number" : null },
      h("button", { onclick: () => sort(name, sorted), title: `Sort by ${name}` }, readable(name) + sign));
  });
  const given = state.about.can.labels ? [h("th", { scope: "col" }, h("button", { disabled: true }, "your label"))] : [];
  return h("thead", {}, h("tr", {}, h("th", {}), cells[0], ...given, ...cells.slice(1)));
}

function sort(name, sorted) {
  list.order = sorted === "none" ? name : sorted === "ascending" ? `-${name}` : "";
  reload();
}

function shown(value) {
  if (value === null) return "";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(3) : value.toPrecision(6).replace(/\.?0+$/, "");
}

function line(row) {
  const cells = list.cells.get(row);
  const id = cells[0];
  const numbers = cells.map((value) => typeof value === "number");
  const tds = cells.map((value, place) => h("td", { class: numbers[place] ? "number" : null, title: place ? shown(value) : null }, shown(value)));
  const picture = h("td", {}, state.about.can.pictures && h("img", { src: api.cutout(id, 64), alt: "", loading: "lazy" }));
  const given = state.about.can.labels ? [h("td", { class: "given-cell" })] : [];
  const element = h("tr", { tabindex: "0", "data-row": row, "aria-selected": "false",
    onclick: () => { toggle(row); focusOn(row); }, ondblclick: () => openGalaxy(id),
    onfocus: () => state.focus !== row && focusOn(row) }, picture, tds[0], ...given, ...tds.slice(1));
  lines.set(row, element);
  show(row);
  return element;
}

function show(row) {
  const element = lines.get(row);
  const selected = state.selected.has(row);
  element.classList.toggle("selected", selected);
  element.setAttribute("aria-selected", String(selected));
  const cell = element.querySelector(".given-cell");
  if (cell) cell.textContent = readable(state.labels[state.ids.get(row)] ?? "");
}

on("restart", () => {
  lines.clear();
  box.replaceChildren();
  body = null;
});
on("page", (rows) => {
  if (!rows.length) return;
  if (!body) {
    body = h("tbody");
    box.append(h("table", {}, head(), body), endless(box));
  }
  for (const row of rows) if (!lines.has(row)) body.append(line(row));
});
on("selection", () => lines.forEach((_, row) => show(row)));
on("labels", () => lines.forEach((_, row) => show(row)));
on("focus", ({ row, flash }) => {
  const element = lines.get(row);
  if (!element || !flash) return;
  element.scrollIntoView({ block: "nearest" });
  element.classList.add("flash");
  setTimeout(() => element.classList.remove("flash"), 2500);
});
