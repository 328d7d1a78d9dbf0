// What all views share. A galaxy is known by its row: its number in the order of the gallery.

const listeners = new Map();

export const state = {
  about: null,
  parts: [], // of the query: {kind, value, weight, picture, name}
  where: "", // condition in SQL
  cone: null, // circle on the sky: {ra, dec, radius}, degrees
  moc: "", // part of the sky
  label: "", // what right answers are called
  answer: null, // of the last search
  hits: [],
  scope: "all", // all, found, selected
  selected: new Set(),
  focus: null, // row of the galaxy that keys are about
  marks: new Map(), // id -> "good" or "bad"
  labels: {}, // id -> label
  ids: new Map(), // row -> id, as far as seen
};

/** Calls `action` after each change of the named kind: query, list, selection, focus, labels, marks, theme. */
export function on(kind, action) {
  if (!listeners.has(kind)) listeners.set(kind, []);
  listeners.get(kind).push(action);
}

export function changed(kind, detail) {
  for (const action of listeners.get(kind) ?? []) action(detail);
}

export function select(rows, { add = false, from = "" } = {}) {
  if (!add) state.selected = new Set();
  for (const row of rows) state.selected.add(row);
  changed("selection", from);
}

export function toggle(row) {
  if (!state.selected.delete(row)) state.selected.add(row);
  changed("selection", "");
}

export function focusOn(row, { flash = false, told = false } = {}) {
  state.focus = row;
  changed("focus", { row, flash, told });
}

export function setScope(scope) {
  state.scope = scope;
  changed("list");
}

export function remember(row, id) {
  if (row !== null && row !== undefined) state.ids.set(row, id);
}
