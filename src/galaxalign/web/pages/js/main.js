// Starts the page.

import * as api from "./api.js";
import { $, count, debounce, h, sentence, typing } from "./dom.js";
import { startExchange } from "./exchange.js";
import { openGalaxy } from "./galaxy.js";
import { give, labelKey, startLabels, undo } from "./labels.js";
import { reload } from "./list.js";
import { setMode, startMap } from "./map.js";
import { run, startQuery } from "./query.js";
import { startRight } from "./right.js";
import { openSketch } from "./sketch.js";
import { startSky } from "./sky.js";
import { changed, on, select, setScope, state, toggle } from "./state.js";
import "./table.js";
import { setMark, step } from "./wall.js";

const KEYS = [
  ["/", "write a search"], ["d", "draw"], ["l x m", "lasso, box, move on the map"], ["← → ↑ ↓", "from galaxy to galaxy"],
  ["Space", "select"], ["Enter", "open"], ["g b", "right, wrong: then Refine"], ["1 … 9", "label"], ["⌫ u", "take a label back, undo"],
  ["Esc", "select nothing"], ["?", "this help"],
];

function theme(next) {
  const wanted = next ?? localStorage.getItem("galaxalign-theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = wanted;
  if (next) localStorage.setItem("galaxalign-theme", next);
  changed("theme");
}

function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll(".views button")) button.setAttribute("aria-pressed", String(button.dataset.view === name));
  if (name === "map") return;
  $("#wall").hidden = name !== "wall";
  $("#table").hidden = name !== "table";
  $("#tab-wall").setAttribute("aria-selected", String(name === "wall"));
  $("#tab-table").setAttribute("aria-selected", String(name === "table"));
}

function help() {
  const dialog = $("#about");
  dialog.replaceChildren(
    h("div", { class: "head" }, h("h2", {}, "How to search"), h("button", { class: "plain", onclick: () => dialog.close() }, "Close")),
    h("div", { class: "inside" },
      h("p", {}, "Write what a galaxy looks like; “not” stands before what you do not want: a barred spiral, not a merger. Drop or paste a picture, draw one, or take a galaxy that you see. Several of these together are one search, and each can count more or less."),
      h("p", {}, "A condition compares columns: T > 3 and label = 'late_spiral'. It holds for the search and for the list, as does a part of the sky (Sky)."),
      h("p", {}, "On the map, Shift with the mouse draws a lasso; what is selected stays so while you move and zoom."),
      h("h3", {}, "Keys"), h("dl", { class: "facts" }, ...KEYS.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").flatMap((one) => [h("kbd", {}, one), " "])), h("dd", {}, what)]))));
  dialog.showModal();
}

function keys(event) {
  if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("#sketch[open], #about[open], #marks[open]")) return;
  const id = state.ids.get(state.focus);
  const inMap = event.target.closest?.("#map");
  const inDialog = document.querySelector("#galaxy[open]");
  const arrows = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
  if (labelKey(event.key)) event.preventDefault();
  else if (event.key === "Backspace") give("");
  else if (event.key === "u") undo();
  else if (inDialog) return;
  else if (event.key === "/") $("#words").focus();
  else if (event.key === "d") openSketch();
  else if (event.key === "l") setMode("lasso");
  else if (event.key === "x") setMode("box");
  else if (event.key === "m") setMode("pan");
  else if (event.key === "?") help();
  else if (event.key === "Escape") select([]);
  else if (event.key === "g" && id && state.answer) setMark(id, "good");
  else if (event.key === "b" && id && state.answer) setMark(id, "bad");
  else if (event.key in arrows && !inMap && !$("#wall").hidden) step(arrows[event.key]);
  else if (event.key === "Enter" && id && event.target.closest?.(".face, tr")) openGalaxy(id);
  else if (event.key === " " && state.focus !== null && event.target.closest?.(".face, tr")) toggle(state.focus);
  else return;
  event.preventDefault();
}

async function start() {
  theme();
  try {
    state.about = await api.about();
  } catch (error) {
    $("#list-note").textContent = sentence(error.message);
    return;
  }
  const { about } = state;
  document.title = `${about.title} · GalaxAlign`;
  $("#dataset").textContent = `${about.title} · ${count(about.galaxies)} galaxies${about.model ? ` · ${about.model}` : ""}`;
  if (!about.can.text) {
    $("#words").disabled = true;
    $("#words").placeholder = `No search in words: ${about.problem}`;
    for (const button of ["#picture", "#draw"]) $(button).disabled = true;
  }
  if (!about.can.sketch) $("#draw").disabled = true;
  const example = about.columns.find((column) => column.kind === "number" && !["ra", "dec"].includes(column.name));
  $("#where").placeholder = example ? `${example.name} > 0.5` : about.columns.some((column) => column.name === "label") ? "label = '…'" : "status = 'ok'";
  view(innerWidth < 800 ? "map" : "wall");
  startQuery();
  startExchange();
  startSky(search);
  startRight();
  await startLabels();
  for (const button of document.querySelectorAll("#scopes button")) button.addEventListener("click", () => setScope(button.dataset.scope));
  for (const button of document.querySelectorAll(".views button")) button.addEventListener("click", () => view(button.dataset.view));
  $("#tab-wall").addEventListener("click", () => view("wall"));
  $("#tab-table").addEventListener("click", () => view("table"));
  $("#theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  $("#help").addEventListener("click", help);
  $("#draw").addEventListener("click", openSketch);
  $("#clear").addEventListener("click", () => select([]));
  $("#where").addEventListener("input", debounce(() => filter(), 600));
  $("#filter").addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  addEventListener("keydown", keys);
  on("selection", () => ($("#clear").hidden = !state.selected.size));
  on("chosen", () => setScope("selected"));
  reload();
  await startMap();
}

function filter() {
  const where = $("#where").value.trim();
  if (where === state.where) return;
  state.where = where;
  search();
}

function search() {
  if (state.parts.length) run();
  else reload();
}

start();
