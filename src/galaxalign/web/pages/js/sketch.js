// The sketch pad: stamps and a pen on black; the drawing is an SVG that the model's symbol encoder reads.

import * as api from "./api.js";
import { $, attempt, h, readable, say } from "./dom.js";
import { addPart, symbolPart } from "./query.js";
import { STAMPS } from "./stamps.js";
import { state } from "./state.js";

const SVG = "http://www.w3.org/2000/svg";
const HALF = 1.2;
const PEN = 0.07;

const pad = { svg: null, shapes: [], current: null, drag: null };

function s(tag, settings = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(settings)) element.setAttribute(name, value);
  return element;
}

function put(shape) {
  pad.shapes.push(shape);
  shape.element = s("g", { class: "shape" });
  for (const mark of shape.marks) shape.element.append(s("path", mark));
  pad.svg.append(shape.element);
  choose(shape);
}

function place(shape) {
  const { x, y, turn, size, flat, mirror } = shape;
  shape.element.setAttribute("transform",
    `translate(${x.toFixed(3)} ${y.toFixed(3)}) rotate(${turn.toFixed(1)}) scale(${((mirror ? -1 : 1) * size).toFixed(3)} ${(size * flat).toFixed(3)})`);
}

function choose(shape) {
  pad.current = shape;
  for (const one of pad.shapes) one.element.classList.toggle("current", one === shape);
  for (const name of ["size", "turn", "flat"]) {
    const slider = $(`#sketch-${name}`);
    slider.disabled = !shape;
    if (shape) slider.value = shape[name];
  }
  if (shape) place(shape);
}

function stamp(kind) {
  // The second arm, or galaxy, comes opposite the first.
  const before = pad.shapes.filter((shape) => shape.kind === kind.name);
  const last = before.at(-1);
  const turn = last && kind.next ? last.turn + kind.next : (kind.turn ?? 0) + (kind.next ? 0 : 25 * before.length);
  const [x, y] = kind.place && !before.length ? kind.place : kind.place && last ? [-last.x, -last.y] : [0, 0];
  put({ kind: kind.name, marks: kind.marks(), x, y, turn, size: last?.size ?? 1, flat: last?.flat ?? 1, mirror: last?.mirror ?? false });
}

const spot = (event) => {
  const box = pad.svg.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * 2 * HALF - HALF, ((event.clientY - box.top) / box.height) * 2 * HALF - HALF];
};

function down(event) {
  const [x, y] = spot(event);
  pad.svg.setPointerCapture(event.pointerId);
  const hit = event.target.closest?.(".shape");
  const shape = pad.shapes.find((one) => one.element === hit);
  if (shape && !event.shiftKey) {
    choose(shape);
    pad.drag = { shape, dx: shape.x - x, dy: shape.y - y };
    return;
  }
  const points = [[x, y]];
  const mark = { d: `M${x.toFixed(3)} ${y.toFixed(3)}l.001 0`, fill: "none", stroke: "#ebebeb", "stroke-width": PEN, "stroke-linecap": "round", "stroke-linejoin": "round" };
  put({ kind: "pen", marks: [mark], x: 0, y: 0, turn: 0, size: 1, flat: 1, mirror: false });
  pad.drag = { points, shape: pad.current };
}

function move(event) {
  if (!pad.drag) return;
  const [x, y] = spot(event);
  const { shape, points } = pad.drag;
  if (points) {
    const [px, py] = points.at(-1);
    if (Math.hypot(x - px, y - py) < 0.012) return;
    points.push([x, y]);
    shape.element.firstChild.setAttribute("d", `M${points.map((point) => point.map((v) => v.toFixed(3)).join(" ")).join("L")}`);
  } else {
    shape.x = x + pad.drag.dx;
    shape.y = y + pad.drag.dy;
    place(shape);
  }
}

function undo() {
  pad.shapes.pop()?.element.remove();
  choose(pad.shapes.at(-1) ?? null);
}

function remove() {
  if (!pad.current) return;
  pad.current.element.remove();
  pad.shapes = pad.shapes.filter((one) => one !== pad.current);
  choose(pad.shapes.at(-1) ?? null);
}

function clear() {
  while (pad.shapes.length) undo();
}

/** The drawing as a document of its own. */
function document_() {
  const copy = s("svg", { xmlns: SVG, width: 256, height: 256, viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}` });
  copy.append(s("rect", { x: -HALF, y: -HALF, width: 2 * HALF, height: 2 * HALF, fill: "black" }));
  for (const shape of pad.shapes) {
    const group = shape.element.cloneNode(true);
    group.removeAttribute("class");
    copy.append(group);
  }
  return new XMLSerializer().serializeToString(copy);
}

async function search(weight) {
  if (!pad.shapes.length) return say("The pad is empty; put a stamp on it, or draw with the mouse.");
  const svg = document_();
  $("#sketch").close();
  await addPart({ kind: "sketch", value: svg, weight, name: "my drawing", picture: `data:image/svg+xml;utf8,${encodeURIComponent(svg)}` });
}

function stampButton(kind) {
  const picture = s("svg", { viewBox: "-1.2 -1.2 2.4 2.4", "aria-hidden": "true" });
  const group = s("g", { transform: `rotate(${kind.turn ?? 0})` });
  for (const mark of kind.marks()) group.append(s("path", mark));
  picture.append(group);
  return h("button", { type: "button", onclick: () => stamp(kind) }, picture, kind.name);
}

function slider(name, title, min, max, step) {
  return [h("label", { for: `sketch-${name}` }, title),
    h("input", { id: `sketch-${name}`, type: "range", min, max, step, disabled: true, oninput: (event) => {
      if (!pad.current) return;
      pad.current[name] = Number(event.target.value);
      place(pad.current);
    } })];
}

async function build(dialog) {
  pad.svg = s("svg", { class: "pad", viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, role: "img", "aria-label": "Sketch pad" });
  pad.svg.append(s("rect", { x: -HALF, y: -HALF, width: 2 * HALF, height: 2 * HALF, fill: "black" }));
  pad.svg.addEventListener("pointerdown", down);
  pad.svg.addEventListener("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) pad.svg.addEventListener(end, () => (pad.drag = null));
  const button = (text, action, settings = {}) => h("button", { type: "button", onclick: action, ...settings }, text);
  const mirror = () => {
    if (!pad.current) return;
    pad.current.mirror = !pad.current.mirror;
    place(pad.current);
  };
  const palette = h("div", { class: "palette" });
  dialog.replaceChildren(
    h("div", { class: "head" }, h("h2", {}, "Draw what you look for"), button("Close", () => dialog.close(), { class: "plain" })),
    h("div", { class: "inside drawing" },
      h("div", {}, pad.svg,
        h("div", { class: "actions" }, button("Search with this", () => search(1), { class: "main" }), button("Not like this", () => search(-1)),
          button("Undo", undo), button("Clear", clear))),
      h("div", {}, h("h3", { style: "margin-top:0" }, "Stamps"),
        h("div", { class: "stamps" }, ...STAMPS.map(stampButton)),
        h("div", { class: "sliders" }, ...slider("size", "Size", 0.2, 1.6, 0.01), ...slider("turn", "Turn", -180, 360, 1), ...slider("flat", "Tilt", 0.1, 1, 0.01)),
        h("div", { class: "actions" }, button("Mirror", mirror), button("Remove", remove)),
        h("p", { class: "quiet" }, "Drag a stamp to move it; draw with the mouse where nothing stands, or with Shift anywhere. Give a ring and a spiral their bulge: a bare ring finds little."),
        h("h3", {}, "Or take the symbol of a class"), palette)));
  const known = (await attempt(api.symbols)) ?? [];
  palette.append(...known.map((one) => h("button", { type: "button", title: one.title, onclick: () => {
    dialog.close();
    symbolPart(one);
  } }, h("img", { src: `data:image/svg+xml;utf8,${encodeURIComponent(one.svg)}`, alt: "" }), readable(one.name))));
  if (!known.length) palette.replaceWith(h("p", { class: "quiet" }, "This model has learnt no symbols."));
}

export async function openSketch() {
  if (!state.about.can.sketch) return say("This model was trained without symbols, so it cannot read drawings.", { wrong: true });
  const dialog = $("#sketch");
  dialog.showModal();
  if (!pad.svg) await build(dialog);
}
