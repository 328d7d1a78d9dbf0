// The image wall.

import * as api from "./api.js";
import { $, count, h, readable } from "./dom.js";
import { openGalaxy } from "./galaxy.js";
import { endless, list } from "./list.js";
import { changed, focusOn, on, select, state, toggle } from "./state.js";

const wall = $("#wall");
const tiles = new Map();
let end = null;
let anchor = null;

function tile(row) {
  const id = state.ids.get(row);
  const hit = state.scope === "found" ? state.hits.find((one) => one.row === row) : null;
  const face = state.about.can.pictures
    ? h("button", { class: "face", "aria-label": `Galaxy ${id}`, "aria-pressed": "false", tabindex: tiles.size ? "-1" : "0" },
        h("img", { src: api.cutout(id), alt: "", loading: "lazy", width: 160, height: 160,
          onerror: (event) => noPicture(event.target) }))
    : h("button", { class: "face none", "aria-pressed": "false", tabindex: tiles.size ? "-1" : "0" }, id);
  const element = h("div", { class: "tile", "data-row": row }, face, hit && h("span", { class: "rank" }, count(hit.rank)), over(row, id, hit), name(id, hit), hit && why(hit));
  face.addEventListener("click", (event) => pick(row, event.shiftKey));
  face.addEventListener("dblclick", () => openGalaxy(id));
  face.addEventListener("focus", () => state.focus !== row && focusOn(row));
  tiles.set(row, element);
  show(row);
  return element;
}

function noPicture(image) {
  image.parentNode.classList.add("none");
  image.replaceWith("no picture");
}

function name(id, hit) {
  const label = list.columns.indexOf("label");
  const cell = label >= 0 ? list.cells.get(hit?.row ?? -1)?.[label] : null;
  const twice = hit?.duplicates.length ? ` ×${hit.duplicates.length + 1}` : "";
  return h("span", { class: "name", title: cell ? `${id}, ${readable(String(cell))}` : id }, h("b", {}, h("bdi", {}, id + twice)), hit && hit.score.toFixed(2));
}

/** A stripe of what each part of the query contributed. */
function why(hit) {
  if (hit.why.length < 2) return null;
  const most = Math.max(...state.hits.map((one) => one.why.reduce((sum, value) => sum + Math.abs(value), 0)), 1e-9);
  const names = state.answer.parts ?? [];
  const parts = hit.why.map((value, place) =>
    h("i", { class: value < 0 ? "less" : null, style: `width:${(100 * Math.abs(value)) / most}%`, title: `${names[place] ?? `part ${place + 1}`}: ${value.toFixed(2)}` }));
  return h("div", { class: "why" }, ...parts);
}

function over(row, id, hit) {
  const mark = (kind, sign, title) =>
    h("button", { class: kind === "good" ? "yes" : "no", "aria-pressed": String(state.marks.get(id) === kind), title,
      "aria-label": title, tabindex: "-1", onclick: () => setMark(id, kind) }, sign);
  return h("div", { class: state.marks.has(id) ? "over on" : "over" },
    hit && mark("good", "✓", "Right: more like this (g)"), hit && mark("bad", "✗", "Wrong: less like this (b)"),
    h("button", { title: "Open (Enter)", "aria-label": `Open galaxy ${id}`, tabindex: "-1", onclick: () => openGalaxy(id) }, "⤢"));
}

export function setMark(id, kind) {
  if (state.marks.get(id) === kind) state.marks.delete(id);
  else state.marks.set(id, kind);
  changed("marks");
}

function pick(row, range) {
  if (range && anchor !== null && list.rows.includes(anchor)) {
    const [a, b] = [list.rows.indexOf(anchor), list.rows.indexOf(row)].sort((one, two) => one - two);
    select(list.rows.slice(a, b + 1), { add: true, from: "wall" });
  } else {
    anchor = row;
    toggle(row);
  }
  focusOn(row);
}

/** Brings what is selected and labelled onto a tile. */
function show(row) {
  const element = tiles.get(row);
  if (!element) return;
  const id = state.ids.get(row);
  const selected = state.selected.has(row);
  element.classList.toggle("selected", selected);
  element.querySelector(".face").setAttribute("aria-pressed", String(selected));
  element.querySelector(".given")?.remove();
  if (state.labels[id]) element.append(h("span", { class: "given" }, readable(state.labels[id])));
}

/** Moves the focus from tile to tile; `step` is +1, -1, or "up", "down". */
export function step(direction) {
  const shown = [...tiles.keys()];
  if (!shown.length || wall.hidden) return;
  const across = getComputedStyle(wall).gridTemplateColumns.split(" ").length;
  const by = { left: -1, right: 1, up: -across, down: across }[direction];
  const now = shown.indexOf(state.focus);
  const next = shown[Math.min(Math.max(now < 0 ? 0 : now + by, 0), shown.length - 1)];
  tiles.get(next).querySelector(".face").focus();
}

on("restart", () => {
  tiles.clear();
  wall.replaceChildren();
  end = null;
});
on("page", (rows) => {
  if (!end) wall.append((end = endless(wall)));
  for (const row of rows) if (!tiles.has(row)) end.before(tile(row));
});
on("selection", () => tiles.forEach((_, row) => show(row)));
on("labels", () => tiles.forEach((_, row) => show(row)));
on("marks", () => {
  for (const [row, element] of tiles) {
    const hit = state.scope === "found" ? state.hits.find((one) => one.row === row) : null;
    element.querySelector(".over").replaceWith(over(row, state.ids.get(row), hit));
  }
});
on("focus", ({ row, flash }) => {
  const element = tiles.get(row);
  if (!element) return;
  for (const one of tiles.values()) one.querySelector(".face").tabIndex = -1;
  element.querySelector(".face").tabIndex = 0;
  if (flash) {
    element.scrollIntoView({ block: "nearest" });
    element.classList.add("flash");
    setTimeout(() => element.classList.remove("flash"), 2500);
  }
});
