// What right answers are called in the catalogue, so that the server can estimate how many of those found are right.

import * as api from "./api.js";
import { $, attempt, h, readable } from "./dom.js";
import { changed, on, state } from "./state.js";

let names = null;

/** Fills the box with the labels of the catalogue, the first time that something is found. */
async function fill() {
  if (names) return;
  names = [];
  const column = await attempt(() => api.column("label"));
  if (!column) return void (names = null); // asked for again with the next search
  names = column.names.filter((name) => !["(none)", "(others)"].includes(name));
  $("#right select").replaceChildren(h("option", { value: "" }, "…"), ...names.map((name) => h("option", { value: name }, readable(name))));
}

export function startRight() {
  if (!state.about.columns.some((column) => column.name === "label" && column.kind === "text")) return;
  const box = $("#right select");
  box.addEventListener("change", () => {
    state.label = box.value;
    changed("right");
  });
  // The label of one query says nothing of the next.
  on("query", () => (box.value = state.label = ""));
  on("list", async () => {
    const found = () => state.scope === "found" && state.hits.length > 0;
    if (found()) await fill();
    $("#right").hidden = !found() || !names?.length;
  });
}
