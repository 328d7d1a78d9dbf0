// A part of the sky as a filter of the search and of the list: a circle, a MOC, or where both are.

import * as api from "./api.js";
import { $, attempt, h, say } from "./dom.js";
import { state } from "./state.js";

const CIRCLE = [
  ["ra", "RA", 0, 360],
  ["dec", "Dec", -90, 90],
  ["radius", "The radius", 0, 180],
];
let file = null; // what a MOC file holds

/** The filter as a query takes it. */
export const somewhere = () => ({ cone: state.cone, moc: state.moc || null });

/** The filter in words, empty where there is none. */
export function place() {
  const circle = state.cone && `within ${state.cone.radius}° of RA ${state.cone.ra}°, Dec ${state.cone.dec}°`;
  return [circle, state.moc && (file ? `in ${file.name}` : `in the MOC ${state.moc}`)].filter(Boolean).join(" and ");
}

/** Reads the circle; undefined where it is wrong, null where there is none. */
function circle() {
  const written = CIRCLE.map(([name]) => $(`#sky-${name}`).value.trim().replace("−", "-").replace("°", ""));
  if (written.every((value) => value === "")) return null;
  const values = written.map(Number);
  const wrong = CIRCLE.findIndex(([, , low, high], k) => written[k] === "" || !(values[k] >= low && values[k] <= high) || (k === 2 && values[k] === 0));
  if (wrong < 0) return { ra: values[0], dec: values[1], radius: values[2] };
  const [name, title, low, high] = CIRCLE[wrong];
  say(`${title} must be a number of degrees ${wrong === 2 ? "above" : "from"} ${low}${wrong === 2 ? ", at most " : " to "}${high}; a circle needs RA, Dec and a radius.`, { wrong: true });
  $(`#sky-${name}`).focus();
  return undefined;
}

function show() {
  const active = Boolean(place());
  $("#sky-open").textContent = active ? "Sky ✓" : "Sky";
  $("#sky-open").title = active ? place() : "Only a part of the sky";
}

async function readFile(chosen) {
  const read = await attempt(() => api.readMoc(chosen));
  if (!read) return;
  file = { name: chosen.name, moc: read.moc };
  $("#sky-moc").value = chosen.name;
  say(`${chosen.name} covers ${(100 * read.share).toPrecision(2)} % of the sky.`);
}

/** Makes the form; calls `action` when the filter has changed. */
export function startSky(action) {
  const form = $("#sky");
  const apply = (cone, moc) => {
    Object.assign(state, { cone, moc });
    show();
    action();
  };
  $("#sky-open").addEventListener("click", () => {
    form.hidden = !form.hidden;
    $("#sky-open").setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) form.querySelector("input")?.focus();
  });
  if (!state.about.can.sky) {
    form.replaceChildren(h("p", { class: "quiet" }, "This catalogue has no positions: give it the columns ra and dec (degrees) and embed it again, then a part of the sky can be chosen."));
    return;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const cone = circle();
    if (cone === undefined) return;
    const text = $("#sky-moc").value.trim();
    if (file && text !== file.name) file = null;
    apply(cone, file ? file.moc : text);
  });
  $("#sky-none").addEventListener("click", () => {
    for (const input of form.querySelectorAll("input[type=text]")) input.value = "";
    file = null;
    apply(null, "");
  });
  $("#sky-pick").addEventListener("click", () => $("#sky-file").click());
  $("#sky-file").addEventListener("change", async (event) => {
    const [chosen] = event.target.files;
    event.target.value = "";
    if (!chosen) return;
    await readFile(chosen);
    form.requestSubmit();
  });
}
