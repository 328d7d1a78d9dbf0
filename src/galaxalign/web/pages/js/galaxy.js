// The page of one galaxy.

import * as api from "./api.js";
import { $, attempt, count, h, readable } from "./dom.js";
import { list } from "./list.js";
import { moreLike } from "./query.js";
import { changed, focusOn, on, remember, state, toggle } from "./state.js";

const CLASSES = 6;
let shown = null;

const percent = (value) => `${Math.round(100 * value)} %`;
const meter = (name, value, text = percent(value)) =>
  h("div", { class: "meter" }, h("span", { title: name }, name), h("span", { class: "track" }, h("i", { style: `width:${100 * Math.max(0, Math.min(1, value))}%` })), h("span", {}, text));

function reading(galaxy) {
  const { reading: said } = galaxy;
  if (!said) return [h("p", { class: "quiet" }, `The model says nothing of this galaxy: ${galaxy.reading_problem}`)];
  const more = said.classes.slice(CLASSES);
  return [
    said.caption && h("p", { class: "caption" }, said.caption),
    h("h3", {}, "Class"), ...said.classes.slice(0, CLASSES).map((one) => meter(one.title, one.probability)),
    more.length ? h("details", {}, h("summary", {}, `${more.length} others`), ...more.map((one) => meter(one.title, one.probability))) : null,
  ];
}

function votes(said) {
  if (!said?.votes.length) return null;
  const questions = said.votes.map((question) =>
    h("div", { class: question.asked < 0.5 ? "question unlikely" : "question" },
      h("b", {}, `${readable(question.name)} `), h("span", { class: "quiet" }, `reached by ${percent(question.asked)}`),
      ...question.answers.map((answer) => meter(readable(answer.name), answer.fraction))));
  return h("details", {}, h("summary", {}, "How volunteers would be expected to vote"), ...questions);
}

function place(galaxy) {
  if (galaxy.ra === null) return null;
  const links = Object.entries(galaxy.links).map(([name, address]) => h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, name));
  return h("div", {}, h("h3", {}, "On the sky"), h("div", {}, `RA ${galaxy.ra.toFixed(5)}°, Dec ${galaxy.dec >= 0 ? "+" : "−"}${Math.abs(galaxy.dec).toFixed(5)}°`), h("div", { class: "links" }, ...links));
}

function strip(neighbours) {
  if (!neighbours.length) return null;
  return h("div", {}, h("h3", {}, "Looks most alike"), h("div", { class: "strip" }, ...neighbours.map((one) => {
    remember(one.row, one.id_str);
    return h("button", { title: `${one.id_str}, ${one.score.toFixed(3)}`, "aria-label": `Open galaxy ${one.id_str}`, onclick: () => openGalaxy(one.id_str) },
      state.about.can.pictures ? h("img", { src: api.cutout(one.id_str), alt: "" }) : one.id_str);
  })));
}

function facts(columns) {
  const told = Object.entries(columns).filter(([name, value]) => name !== "id_str" && value !== null && value !== "");
  if (!told.length) return null;
  return h("details", { open: told.length < 12 }, h("summary", {}, "Catalogue"), h("dl", { class: "facts" },
    ...told.flatMap(([name, value]) => [h("dt", {}, readable(name)), h("dd", {}, typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(7)) : String(value))])));
}

function neighbourInList(by) {
  const now = list.rows.indexOf(shown?.row);
  const row = list.rows[now + by];
  if (now >= 0 && row !== undefined) openGalaxy(state.ids.get(row));
}

export async function openGalaxy(id) {
  const galaxy = await attempt(() => api.galaxy(id));
  if (!galaxy) return;
  shown = galaxy;
  remember(galaxy.row, id);
  const dialog = $("#galaxy");
  let view = "whole";
  const picture = h("img", { src: api.cutout(id, 424, view), alt: `Galaxy ${id}` });
  const flip = h("button", { class: "plain", onclick: () => {
    view = view === "whole" ? "model" : "whole";
    picture.src = api.cutout(id, 424, view);
    flip.textContent = view === "whole" ? "As the model sees it" : "Whole picture";
  } }, "As the model sees it");
  const select = h("button", { "aria-pressed": String(state.selected.has(galaxy.row)), onclick: () => {
    toggle(galaxy.row);
    select.setAttribute("aria-pressed", String(state.selected.has(galaxy.row)));
  } }, "Select");
  const like = (weight) => () => {
    dialog.close();
    moreLike(id, weight);
  };
  const symbols = galaxy.reading?.symbols ?? [];
  dialog.replaceChildren(
    h("div", { class: "head" }, h("h2", {}, id), galaxy.label && h("span", { class: "quiet" }, readable(galaxy.label)),
      h("button", { title: "Previous (←)", "aria-label": "Previous galaxy", onclick: () => neighbourInList(-1) }, "←"), h("button", { title: "Next (→)", "aria-label": "Next galaxy", onclick: () => neighbourInList(1) }, "→"),
      h("button", { class: "plain", onclick: () => dialog.close() }, "Close")),
    h("div", { class: "inside" },
      h("div", { class: "portrait" },
        h("div", {}, state.about.can.pictures && picture, state.about.can.pictures && flip),
        h("div", {}, ...reading(galaxy).filter(Boolean))),
      h("div", { class: "actions" }, h("button", { class: "main", onclick: like(1) }, "More like this"), h("button", { onclick: like(-1) }, "Not like this"), select),
      strip(galaxy.neighbours),
      symbols.length ? h("div", {}, h("h3", {}, "Nearest symbols"), ...symbols.map((one) => meter(one.title, one.cosine, one.cosine.toFixed(2)))) : null,
      place(galaxy), votes(galaxy.reading), facts(galaxy.columns)));
  for (const child of [...dialog.querySelectorAll(".inside > *")]) if (child.textContent === "null") child.remove();
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  focusOn(galaxy.row, { flash: true });
}

$("#galaxy").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") neighbourInList(-1);
  else if (event.key === "ArrowRight") neighbourInList(1);
});
on("labels", () => {
  const said = $("#galaxy .head .quiet");
  if (said && shown) said.textContent = readable(state.labels[shown.id_str] ?? "");
});
