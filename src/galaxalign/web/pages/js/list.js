// The galaxies that the wall and the table show: all, found or selected ones, a page at a time.

import * as api from "./api.js";
import { $, attempt, count, h, sentence } from "./dom.js";
import { place, somewhere } from "./sky.js";
import { changed, on, remember, state } from "./state.js";

const PAGE = 100;

export const list = { total: 0, rows: [], columns: [], cells: new Map(), order: "", done: false };
let asked = null;

function request(offset) {
  const wanted = { offset, limit: PAGE };
  const limited = state.scope !== "found" && (state.where || place());
  // What was found keeps to its order; the condition was already part of the search.
  if (limited) Object.assign(wanted, { where: state.where || null, ...somewhere() });
  if (list.order) wanted.order = list.order;
  if (state.scope === "found") wanted.rows = state.hits.map((hit) => hit.row).filter((row) => row !== null);
  if (state.scope === "selected") wanted.rows = [...state.selected];
  if (wanted.rows && !limited && !wanted.order) {
    // A large selection need not travel as a whole for each page of it.
    list.length = wanted.rows.length;
    return { rows: wanted.rows.slice(offset, offset + PAGE), limit: PAGE };
  }
  list.length = null;
  return wanted;
}

/** Begins the list anew. */
export async function reload() {
  Object.assign(list, { total: 0, rows: [], cells: new Map(), done: false });
  changed("restart");
  await more();
}

/** Fetches the next page, once at a time. */
export async function more() {
  if (list.done) return;
  asked?.abort();
  asked = new AbortController();
  const mine = asked;
  const empty = (state.scope === "selected" && !state.selected.size) || (state.scope === "found" && !state.hits.length);
  if (empty) {
    list.done = true;
    changed("page", []);
    note();
    return;
  }
  const page = await attempt(() => api.table(request(list.rows.length), mine.signal));
  if (mine !== asked) return;
  if (page === undefined) {
    list.done = true;
    note();
    return;
  }
  list.total = list.length ?? page.total;
  list.columns = page.columns;
  const fresh = [];
  page.rows.forEach((row, place) => {
    if (row === null) return;
    remember(row, page.cells[place][0]);
    list.rows.push(row);
    list.cells.set(row, page.cells[place]);
    fresh.push(row);
  });
  list.done = list.rows.length >= list.total || !page.rows.length;
  changed("page", fresh);
  note();
}

function note() {
  const spots = { all: state.about.galaxies, found: state.hits.length, selected: state.selected.size };
  for (const button of document.querySelectorAll("#scopes button")) {
    button.setAttribute("aria-pressed", String(button.dataset.scope === state.scope));
    button.querySelector("span").textContent = count(spots[button.dataset.scope]);
  }
  $("#list-note").replaceChildren(...told());
}

function told() {
  if (state.scope === "found") {
    if (!state.answer) return ["Nothing has been searched for yet. Write above what a galaxy should look like, or draw it."];
    if (!state.hits.length) return ["Nothing was found. Loosen the condition, or leave out what you do not want."];
    const { precision, precision_reason: reason, marks, seconds } = state.answer;
    const time = `${count(state.hits.length)} galaxies in ${seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`}`;
    const about = marks ? `refined with ${count(marks.flat().length)} marks; what was marked is left out. Mark more, or search anew.` : "best first.";
    if (!precision?.length) return [`${time}, ${about}`, state.label ? ` How many are right cannot be told: ${reason}.` : ""];
    const half = precision.findIndex((share) => share < 0.5);
    const share = Math.round(100 * precision[Math.min(9, precision.length - 1)]);
    const stop = half > 0 ? ` Below half after rank ${half}.` : "";
    return [`${time}, ${about} About ${share} % of the first ${Math.min(10, precision.length)} should be right.${stop}`];
  }
  if (state.scope === "selected" && !state.selected.size)
    return ["Nothing is selected. Draw a lasso on the map, or click pictures; Shift and click selects a row of them."];
  if ((state.where || place()) && state.scope === "all") {
    const condition = [state.where && `where ${state.where}`, place()].filter(Boolean).join(", ");
    return [sentence(list.total ? `${count(list.total)} galaxies ${condition}` : `No galaxy ${condition}`)];
  }
  return [];
}

/** Calls `more` when the end of a scrolled element comes near. */
export function endless(root) {
  const mark = h("div", { class: "more", "aria-hidden": "true" });
  new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && list.rows.length && more(), {
    root,
    rootMargin: "600px",
  }).observe(mark);
  return mark;
}

on("list", reload);
// What is found comes best first, however the list was sorted before.
on("answer", () => state.answer && (list.order = ""));
on("labels", note);
on("selection", () => (state.scope === "selected" ? reload() : note()));
