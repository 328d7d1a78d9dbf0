// Labels: a key for each, saved as they are given.

import * as api from "./api.js";
import { $, attempt, count, h, readable, say } from "./dom.js";
import { changed, on, state } from "./state.js";
import { step } from "./wall.js";

const KEYS = "123456789";
const history = [];

/** Labels what is selected, else the galaxy that the keys are about. */
export async function give(label) {
  if (!state.about.can.labels) return say("Labels are kept nowhere; start the server with --labels labels.csv.", { wrong: true });
  const rows = state.selected.size ? [...state.selected] : state.focus !== null ? [state.focus] : [];
  if (!rows.length) return say("Choose a galaxy first: click it, or go to it with the arrow keys.");
  const ids = await attempt(() => api.ids(rows));
  if (!ids) return;
  const before = ids.map((id) => [id, state.labels[id] ?? ""]);
  const answer = await attempt(() => api.label(ids, label));
  if (!answer) return;
  history.push(before);
  take(answer);
  if (ids.length > 1) say(`${count(ids.length)} galaxies are ${label ? readable(label) : "without a label"} now.`);
  else if (!state.selected.size) step("right");
}

export async function undo() {
  const before = history.pop();
  if (!before) return say("There is no label to take back.");
  const groups = new Map();
  for (const [id, label] of before) groups.set(label, [...(groups.get(label) ?? []), id]);
  for (const [label, ids] of groups) {
    const answer = await attempt(() => api.label(ids, label));
    if (answer) take(answer);
  }
}

function take(answer) {
  state.labels = answer.labels;
  changed("labels");
}

function show() {
  const box = $("#labels");
  if (!state.about.can.labels) return box.replaceChildren();
  const buttons = state.about.label_names.map((name, place) =>
    h("button", { onclick: () => give(name), title: `Label as ${readable(name)}` }, place < KEYS.length && h("kbd", {}, KEYS[place]), readable(name)));
  box.replaceChildren(h("span", { class: "quiet" }, "Label"), ...buttons, h("button", { onclick: () => give(""), title: "Take the label back (⌫)" }, "none"),
    h("button", { class: "plain", onclick: undo, title: "Undo (u)" }, "Undo"),
    h("span", { class: "quiet" }, `${count(Object.keys(state.labels).length)} in ${state.about.labels_file}`));
}

export function labelKey(key) {
  const name = KEYS.includes(key) ? state.about.label_names[KEYS.indexOf(key)] : undefined;
  if (name) give(name);
  return Boolean(name);
}

export async function startLabels() {
  if (state.about.can.labels) {
    const answer = await attempt(api.labels);
    if (answer) state.labels = answer.labels;
  }
  on("labels", show);
  changed("labels");
}
