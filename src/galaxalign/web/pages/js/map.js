// The map: the scatter plot of jupyter-scatter, linked with everything else.

import * as api from "./api.js";
import { $, attempt, count, debounce, h, readable, sentence } from "./dom.js";
import { changed, focusOn, on, remember, select, state } from "./state.js";
import { hostScatter } from "./widget-host.js";

// Okabe & Ito, without black and with a yellow dark enough for white paper; then grey for the rest.
const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A900", "#6B5BD2", "#A33A6C", "#8A9299"];
const RAMP = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const NONE = "#8A9299"; // no value
const FAR = 10; // where what has no place is put: no lasso comes there

// How many points are drawn at once. Without a graphics card a processor draws them.
const MOST = { card: 500_000, none: 20_000 };
const ALWAYS = 5_000; // of what is found or selected, beside the sample

// Rows of all galaxies in `points`; those that are drawn in `rows`, and in `places` where among the drawn each row is, or -1.
const map = { plot: null, points: null, colours: null, rows: null, places: null, shuffled: null, most: 0, busy: null, again: false };
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
    map.most = state.about.map_points || (hasCard() ? MOST.card : MOST.none);
    map.shuffled = shuffled(points.x.length);
    map.places = new Int32Array(points.x.length);
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
  // Where on the sky a galaxy is says nothing of its looks, and a column of words may have as many as there are galaxies.
  const number = useful.find((column) => column.kind === "number" && !["ra", "dec"].includes(column.name))?.name;
  const first = ["label", "class", "T"].find((name) => names.includes(name)) ?? number ?? "";
  box.value = first;
  box.addEventListener("change", () => attempt(() => colourBy(box.value)));
  return first;
}

async function colourBy(name) {
  const column = name ? await api.column(name) : null;
  const z = new Float32Array(map.points.x.length);
  let palette = [style("--accent"), style("--accent")];
  const others = (column?.names?.length ?? 0) > COLOURS.length ? COLOURS.length - 1 : COLOURS.length;
  if (column?.kind === "category") {
    column.values.forEach((code, place) => (z[place] = Math.min(code, others)));
    palette = COLOURS.slice(0, Math.max(2, Math.min(column.names.length, COLOURS.length)));
  } else if (column) {
    const span = column.high - column.low || 1;
    const step = (value) => Math.min(Math.max(Math.floor(((value - column.low) / span) * RAMP.length), 0), RAMP.length - 1);
    column.values.forEach((value, place) => (z[place] = Number.isNaN(value) ? RAMP.length : step(value)));
    palette = [...RAMP, NONE];
  }
  map.colours = { z, palette };
  legend(column, others);
  await draw();
}

/** Draws what is in view; a call that comes while another draws makes that one draw once more. */
function draw() {
  map.again = true;
  map.busy ??= (async () => {
    try {
      while (map.again) {
        map.again = false;
        await drawOnce();
      }
    } finally {
      map.busy = null;
    }
  })();
  return map.busy;
}

async function drawOnce() {
  const { palette } = map.colours;
  const rows = rowsToDraw();
  map.rows = rows;
  map.places.fill(-1);
  rows.forEach((row, place) => (map.places[row] = place));
  const of = (values) => Float32Array.from(rows, (row) => values[row]);
  const number = rows.length;
  const size = number > 200_000 ? 1.5 : number > 20_000 ? 2.5 : 4.5;
  const found = new Float32Array(number);
  const any = state.hits.length > 0;
  for (const hit of state.hits) if (hit.row !== null && map.places[hit.row] >= 0) found[map.places[hit.row]] = 1;
  map.plot.set({
    colorBy: "valueA", pointColor: palette, pointColorActive: style("--mark"), pointColorHover: style("--mark"),
    sizeBy: "valueB", pointSize: [size, size + 5], opacityBy: "valueB",
    opacity: any ? [0.28, 1] : [number > 200_000 ? 0.35 : 0.75, 1],
    opacityInactiveMax: 1, opacityInactiveScale: 0.6, pointSizeSelected: 3, pointOutlineWidth: 1.5,
    backgroundColor: style("--map"), lassoColor: style("--accent"),
  });
  await map.plot.draw({ x: of(map.points.x), y: of(map.points.y), z: of(map.colours.z), w: found },
    { zDataType: "categorical", wDataType: "categorical", select: placesOf(state.selected) });
  told();
}

/** The rows in view, and a random sample of them where they are too many; what was found or selected is among them. */
function rowsToDraw() {
  const number = map.points.x.length;
  if (number <= map.most) return Int32Array.from({ length: number }, (_, row) => row);
  const box = map.seen ?? { left: -Infinity, right: Infinity, low: -Infinity, high: Infinity };
  const { x, y } = map.points;
  const taken = new Uint8Array(number);
  const rows = [];
  const take = (row) => {
    if (row === null || taken[row]) return;
    taken[row] = 1;
    rows.push(row);
  };
  // In a fixed random order, so that a galaxy that was drawn stays when the view moves a little.
  for (const row of map.shuffled) {
    if (rows.length === map.most) break;
    if (x[row] >= box.left && x[row] <= box.right && y[row] >= box.low && y[row] <= box.high) take(row);
  }
  map.whole = rows.length < map.most;
  for (const hit of state.hits) take(hit.row);
  let left = ALWAYS;
  for (const row of state.selected) {
    if (left-- === 0) break;
    take(row);
  }
  return Int32Array.from(rows);
}

/** Says how many of the galaxies in view are drawn, where it is not all. */
function told() {
  const part = map.points.x.length > map.most && !map.whole;
  $("#map-part").hidden = !part;
  if (part) $("#map-part").textContent = `${count(map.most)} of ${count(map.points.x.length)} drawn; zoom in for all`;
}

/** What the camera shows, and half as much again on each side. */
function seen() {
  const { target, distance } = camera();
  const frame = $("#map").getBoundingClientRect();
  const [wide, high] = [1.5 * distance * (frame.width / frame.height), 1.5 * distance];
  return { left: target[0] - wide, right: target[0] + wide, low: target[1] - high, high: target[1] + high };
}

const look = debounce(() => {
  map.seen = seen();
  if (map.points.x.length > map.most) attempt(draw);
}, 250);

function placesOf(rows) {
  const found = [];
  for (const row of rows) if (map.places[row] >= 0) found.push(map.places[row]);
  return found;
}

/** Row numbers in a random order that is the same each time. */
function shuffled(number) {
  const rows = Int32Array.from({ length: number }, (_, row) => row);
  let seed = 1;
  for (let place = number - 1; place > 0; place -= 1) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((seed / 2 ** 32) * (place + 1));
    [rows[place], rows[other]] = [rows[other], rows[place]];
  }
  return rows;
}

function hasCard() {
  const gl = document.createElement("canvas").getContext("webgl");
  const about = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "";
  return !/swiftshader|llvmpipe|software|basic render/i.test(name);
}

/** The rows of all galaxies within a polygon, drawn or not. */
function rowsWithin(corners) {
  const { x, y } = map.points;
  const [xs, ys] = [corners.map((one) => one[0]), corners.map((one) => one[1])];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const rows = [];
  for (let row = 0; row < x.length; row += 1) {
    const [px, py] = [x[row], y[row]];
    if (px < left || px > right || py < low || py > high) continue;
    let inside = false;
    for (let one = 0, other = xs.length - 1; one < xs.length; other = one, one += 1) {
      if (ys[one] > py !== ys[other] > py && px < ((xs[other] - xs[one]) * (py - ys[one])) / (ys[other] - ys[one]) + xs[one]) inside = !inside;
    }
    if (inside) rows.push(row);
  }
  return rows;
}

function legend(column, others) {
  const box = $("#legend");
  if (!column) return box.replaceChildren();
  if (column.kind === "number") {
    const digits = (value) => Number(value.toPrecision(3)).toLocaleString("en");
    const ramp = h("span", {}, digits(column.low), h("span", { class: "ramp", style: `background:linear-gradient(90deg,${RAMP.join(",")})` }), digits(column.high));
    const without = column.values.reduce((sum, value) => sum + Number.isNaN(value), 0);
    box.replaceChildren(ramp, without ? h("span", {}, h("i", { style: `background:${NONE}` }), `no value ${count(without)}`) : "");
    return;
  }
  const entries = column.names.slice(0, others).map((name, place) =>
    h("span", {}, h("i", { style: `background:${COLOURS[place]}` }), `${readable(name)} ${count(column.counts[place])}`));
  const rest = column.counts.slice(others).reduce((sum, number) => sum + number, 0);
  if (rest) entries.push(h("span", {}, h("i", { style: `background:${COLOURS[others]}` }), `${column.names.length - others} others ${count(rest)}`));
  box.replaceChildren(...entries);
}

function listen() {
  let lasso = false;
  let keys = {};
  // The plot knows the drawn galaxies alone; a lasso holds all.
  addEventListener("mouseup", ({ ctrlKey, metaKey, altKey }) => (keys = { add: ctrlKey || metaKey, less: altKey }), { capture: true });
  map.plot.subscribe("lassoStart", () => (lasso = true));
  map.plot.subscribe("lassoEnd", ({ coordinates }) => {
    lasso = false;
    const within = rowsWithin(coordinates);
    const gone = new Set(keys.less ? within : []);
    select(keys.less ? [...state.selected].filter((row) => !gone.has(row)) : within, { from: "map", add: keys.add });
    map.plot.select(placesOf(state.selected), { preventEvent: true });
    if (state.selected.size === 1) focusOn([...state.selected][0], { flash: true });
    else if (state.selected.size) changed("chosen");
  });
  map.plot.subscribe("select", ({ points }) => {
    if (lasso) return;
    const rows = points.map((place) => map.rows[place]);
    const unseen = keys.add || keys.less ? [...state.selected].filter((row) => map.places[row] < 0) : [];
    select([...rows, ...unseen], { from: "map" });
    if (rows.length === 1) focusOn(rows[0], { flash: true });
    else if (rows.length) changed("chosen");
  });
  map.plot.subscribe("deselect", () => lasso || select([], { from: "map" }));
  map.plot.subscribe("view", look);
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

async function hover(place) {
  const row = map.rows[place];
  const box = $("#hover");
  if (!state.ids.has(row)) remember(row, (await api.ids([row]))[0]);
  const id = state.ids.get(row);
  const [x, y] = map.plot.getScreenPosition(place) ?? [0, 0];
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
  if (!map.plot || !map.rows || from === "map") return;
  if (state.selected.size <= ALWAYS && [...state.selected].some((row) => map.places[row] < 0)) attempt(draw);
  else if (state.selected.size) map.plot.select(placesOf(state.selected), { preventEvent: true });
  else map.plot.deselect({ preventEvent: true });
});
on("answer", () => map.colours && attempt(draw));
on("theme", () => map.colours && attempt(draw));
on("focus", ({ row }) => map.places?.[row] >= 0 && map.plot.hover(map.places[row], { showReticleOnce: true, preventEvent: true }));

/** For tests: how many points are drawn, where the camera stands, and where on the page a galaxy is. */
window.galaxalignMap = () => map.rows && {
  points: map.rows.length,
  distance: camera().distance,
  selected: map.plot.get("selectedPoints").length,
  drawn: (row) => map.places[row] >= 0,
  at: (row) => {
    const { target, distance } = camera();
    const frame = $("#map canvas").getBoundingClientRect();
    const half = frame.height / 2 / distance;
    return [frame.x + frame.width / 2 + (map.points.x[row] - target[0]) * half, frame.y + frame.height / 2 - (map.points.y[row] - target[1]) * half];
  },
};
