// The map: the scatter plot of jupyter-scatter, linked with everything else.

import * as api from "./api.js";
import { $, attempt, count, h, readable, sentence } from "./dom.js";
import { changed, focusOn, on, remember, select, state } from "./state.js";
import { hostScatter } from "./widget-host.js";

// Okabe & Ito, without black and with a yellow dark enough for white paper; then grey for the rest.
const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A900", "#6B5BD2", "#A33A6C", "#8A9299"];
const RAMP = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const FAR = 10; // where what has no place is put: no lasso comes there

const map = { plot: null, points: null, colours: null, found: null };
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export async function startMap() {
  const note = $("#map-note");
  if (state.about.map_state === "making") {
    note.textContent = `The map is being calculated (${state.about.map_method} of ${count(state.about.galaxies)} galaxies). Everything else works already.`;
    while (state.about.map_state === "making") {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      Object.assign(state.about, await api.about());
    }
  }
  if (state.about.map_state === "failed") {
    note.textContent = `There is no map: ${sentence(state.about.map_problem)}`;
    return;
  }
  note.textContent = "Drawing …";
  try {
    const points = await api.map();
    for (const axis of [points.x, points.y]) axis.forEach((value, place) => Number.isNaN(value) && (axis[place] = FAR));
    map.points = points;
    map.extent = extentOf(points);
    map.plot = await hostScatter($("#map"), { backgroundColor: style("--map"), lassoColor: style("--accent"), actionKeyMap: { lasso: "shift", merge: "ctrl", remove: "alt" } });
    listen();
    await colourBy(firstColumn());
    showAll({ transition: false });
    note.textContent = "";
  } catch (error) {
    note.textContent = `The map cannot be drawn here: ${sentence(error.message)} The pictures and the table work without it.`;
  }
}

function firstColumn() {
  const box = $("#colour");
  const useful = state.about.columns.filter((column) => column.kind !== "other" && column.name !== "id_str");
  box.replaceChildren(h("option", { value: "" }, "nothing"), ...useful.map((column) => h("option", { value: column.name }, readable(column.name))));
  const names = useful.map((column) => column.name);
  const first = ["label", "class", "T"].find((name) => names.includes(name)) ?? names.find((name) => name !== "status") ?? "";
  box.value = first;
  box.addEventListener("change", () => attempt(() => colourBy(box.value)));
  return first;
}

async function colourBy(name) {
  const column = name ? await api.column(name) : null;
  const z = new Float32Array(map.points.x.length);
  let palette = [style("--accent"), style("--accent")];
  let kind = "categorical";
  const others = (column?.names?.length ?? 0) > COLOURS.length ? COLOURS.length - 1 : COLOURS.length;
  if (column?.kind === "category") {
    column.values.forEach((code, place) => (z[place] = Math.min(code, others)));
    palette = COLOURS.slice(0, Math.max(2, Math.min(column.names.length, COLOURS.length)));
  } else if (column) {
    const span = column.high - column.low || 1;
    column.values.forEach((value, place) => (z[place] = Number.isNaN(value) ? 0 : Math.min(Math.max((value - column.low) / span, 0), 1)));
    palette = RAMP;
    kind = "continuous";
  }
  map.colours = { z, palette, kind };
  legend(column, others);
  await draw();
}

async function draw() {
  const { z, palette, kind } = map.colours;
  const number = map.points.x.length;
  const size = number > 200_000 ? 1.5 : number > 20_000 ? 2.5 : 4.5;
  const found = new Float32Array(number);
  const any = state.hits.length > 0;
  for (const hit of state.hits) if (hit.row !== null) found[hit.row] = 1;
  map.plot.set({
    colorBy: "valueA", pointColor: palette, pointColorActive: style("--mark"), pointColorHover: style("--mark"),
    sizeBy: "valueB", pointSize: [size, size + 5], opacityBy: "valueB",
    opacity: any ? [0.28, 1] : [number > 200_000 ? 0.35 : 0.75, 1],
    opacityInactiveMax: 1, opacityInactiveScale: 0.6, pointSizeSelected: 3, pointOutlineWidth: 1.5,
    backgroundColor: style("--map"), lassoColor: style("--accent"),
    performanceMode: number > 500_000,
  });
  const again = map.drawn ? { spatialIndex: map.plot.get("spatialIndex"), preventFilterReset: true } : {};
  await map.plot.draw({ x: map.points.x, y: map.points.y, z, w: found },
    { zDataType: kind, wDataType: "categorical", select: [...state.selected], ...again });
  map.drawn = true;
}

function legend(column, others) {
  const box = $("#legend");
  if (!column) return box.replaceChildren();
  if (column.kind === "number") {
    const digits = (value) => Number(value.toPrecision(3)).toLocaleString("en");
    box.replaceChildren(h("span", {}, digits(column.low), h("span", { class: "ramp", style: `background:linear-gradient(90deg,${RAMP.join(",")})` }), digits(column.high)));
    return;
  }
  const entries = column.names.slice(0, others).map((name, place) =>
    h("span", {}, h("i", { style: `background:${COLOURS[place]}` }), `${readable(name)} ${count(column.counts[place])}`));
  const rest = column.counts.slice(others).reduce((sum, number) => sum + number, 0);
  if (rest) entries.push(h("span", {}, h("i", { style: `background:${COLOURS[others]}` }), `${column.names.length - others} others ${count(rest)}`));
  box.replaceChildren(...entries);
}

function listen() {
  map.plot.subscribe("select", ({ points }) => {
    select(points, { from: "map" });
    if (points.length === 1) focusOn(points[0], { flash: true });
    else if (points.length) changed("chosen");
  });
  map.plot.subscribe("deselect", () => select([], { from: "map" }));
  map.plot.subscribe("pointover", hover);
  map.plot.subscribe("pointout", () => ($("#hover").hidden = true));
  for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
  $("#zoom-in").addEventListener("click", () => zoom(1 / 1.5));
  $("#zoom-out").addEventListener("click", () => zoom(1.5));
  $("#zoom-all").addEventListener("click", () => showAll());
  $("#map").addEventListener("keydown", keys);
  fingers($(".map-frame"));
}

export function setMode(mode) {
  if (!map.plot) return;
  map.plot.set({ mouseMode: mode === "pan" ? "panZoom" : "lasso", lassoType: mode === "box" ? "rectangle" : "freeform" });
  for (const button of document.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
}

const camera = () => ({ target: [...map.plot.get("cameraTarget")], distance: map.plot.get("cameraDistance")[0] ?? map.plot.get("cameraDistance") });

function zoom(factor, dx = 0, dy = 0) {
  const { target, distance } = camera();
  map.plot.zoomToLocation([target[0] + dx * distance, target[1] + dy * distance], distance * factor, { transition: factor !== 1, transitionDuration: 150 });
}

export function showAll({ transition = true } = {}) {
  map.plot?.zoomToArea(map.extent, { transition, transitionDuration: 250 });
}

/** The box around all galaxies, with some air. */
function extentOf({ x, y }) {
  let [left, right, low, high] = [1, -1, 1, -1];
  for (let place = 0; place < x.length; place += 1) {
    if (x[place] === FAR) continue;
    left = Math.min(left, x[place]);
    right = Math.max(right, x[place]);
    low = Math.min(low, y[place]);
    high = Math.max(high, y[place]);
  }
  return { x: left - 0.04, y: low - 0.04, width: right - left + 0.08, height: high - low + 0.08 };
}

function keys(event) {
  const moves = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15] };
  if (event.key in moves) zoom(1, ...moves[event.key]);
  else if (event.key === "+" || event.key === "=") zoom(1 / 1.5);
  else if (event.key === "-") zoom(1.5);
  else if (event.key === "0") showAll();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

async function hover(row) {
  const box = $("#hover");
  if (!state.ids.has(row)) remember(row, (await api.ids([row]))[0]);
  const id = state.ids.get(row);
  const [x, y] = map.plot.getScreenPosition(row) ?? [0, 0];
  const frame = $(".map-frame").getBoundingClientRect();
  box.replaceChildren(state.about.can.pictures ? h("img", { src: api.cutout(id), alt: "" }) : "", id);
  box.style.left = `${Math.min(x + 12, frame.width - 134)}px`;
  box.style.top = `${Math.max(4, Math.min(y + 12, frame.height - 150))}px`;
  box.hidden = false;
}

/** The plot knows a mouse only: one finger becomes its button, two become its wheel. */
function fingers(frame) {
  let apart = 0;
  const canvas = () => $("#map canvas");
  const mouse = (kind, touch) => canvas()?.dispatchEvent(new MouseEvent(kind, { bubbles: true, clientX: touch.clientX, clientY: touch.clientY, button: 0, buttons: kind === "mouseup" ? 0 : 1 }));
  const between = (touches) => Math.hypot(touches[0].clientX - touches[1].clientX, touches[0].clientY - touches[1].clientY);
  frame.addEventListener("touchstart", (event) => {
    event.preventDefault();
    if (event.touches.length === 2) {
      mouse("mouseup", event.touches[0]);
      apart = between(event.touches);
    } else {
      mouse("mouseenter", event.touches[0]);
      mouse("mousemove", event.touches[0]);
      mouse("mousedown", event.touches[0]);
    }
  }, { passive: false });
  frame.addEventListener("touchmove", (event) => {
    event.preventDefault();
    if (event.touches.length === 2) {
      const now = between(event.touches);
      zoom(apart / now);
      apart = now;
    } else mouse("mousemove", event.touches[0]);
  }, { passive: false });
  frame.addEventListener("touchend", (event) => {
    if (event.touches.length) return;
    mouse("mouseup", event.changedTouches[0]);
    mouse("click", event.changedTouches[0]);
  });
}

on("selection", (from) => {
  if (!map.plot || from === "map") return;
  if (state.selected.size) map.plot.select([...state.selected], { preventEvent: true });
  else map.plot.deselect({ preventEvent: true });
});
on("answer", () => map.colours && attempt(draw));
on("theme", () => map.colours && attempt(draw));
on("focus", ({ row }) => map.plot?.hover && map.plot.hover(row, { showReticleOnce: true, preventEvent: true }));

/** For tests: how many points are drawn and where the camera stands. */
window.galaxalignMap = () => map.plot && { points: map.plot.get("points").length, distance: camera().distance, selected: map.plot.get("selectedPoints").length, at: (row) => map.plot.getScreenPosition(row) };
