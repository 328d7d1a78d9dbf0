// The query bar: words, pictures, drawings, symbols and known galaxies, each with a weight.

import * as api from "./api.js";
import { $, attempt, h, readable, say } from "./dom.js";
import { somewhere } from "./sky.js";
import { changed, on, setScope, state } from "./state.js";

const FOUND = 100;
const WORTH = [0.25, 0.5, 1, 1.5, 2, 3];
const PICTURES = 20_000_000; // bytes, as the server's limit

/** Adds a part and searches. */
export function addPart(part, { search = true } = {}) {
  state.parts.push({ weight: 1, ...part });
  changed("query");
  if (search) return run();
}

/** Reads "a barred spiral, not a merger" as parts: what follows "not" or a minus is not wanted. */
export function readWords(text) {
  const pieces = text.split(/,?\s+(?:but\s+)?(?=not\s)|\s*;\s*|,\s*(?=-)/i).map((piece) => piece.trim()).filter(Boolean);
  return pieces.map((piece) => {
    const unwanted = piece.match(/^(?:not\s+|-\s*)(.+)$/i);
    const words = (unwanted ? unwanted[1] : piece).replace(/,$/, "").trim();
    return { kind: "text", value: words, name: words, weight: unwanted ? -1 : 1 };
  });
}

function chip(part, place) {
  const worth = Math.abs(part.weight);
  const change = (by) => {
    const next = WORTH[Math.min(Math.max(WORTH.indexOf(worth) + by, 0), WORTH.length - 1)];
    part.weight = Math.sign(part.weight) * next;
    changed("query");
    run();
  };
  const flip = () => {
    part.weight = -part.weight;
    changed("query");
    run();
  };
  const drop = () => {
    state.parts.splice(place, 1);
    changed("query");
    if (state.parts.length) run();
    else clearAnswer();
    $("#words").focus();
  };
  return h("span", { class: part.weight < 0 ? "chip not" : "chip" },
    part.picture && h("img", { src: part.picture, alt: "" }),
    h("span", { class: "what", title: part.name }, part.name),
    h("button", { type: "button", title: "Wanted, or not wanted", "aria-pressed": String(part.weight < 0), onclick: flip }, "not"),
    h("button", { type: "button", title: "Counts less", "aria-label": `${part.name} counts less`, onclick: () => change(-1) }, "−"),
    h("span", { class: "weight", title: "How much it counts" }, `×${worth}`),
    h("button", { type: "button", title: "Counts more", "aria-label": `${part.name} counts more`, onclick: () => change(1) }, "+"),
    h("button", { type: "button", title: "Leave out", "aria-label": `Leave out ${part.name}`, onclick: drop }, "×"));
}

export const asked = () => ({
  parts: state.parts.map(({ kind, value, weight }) => ({ kind, value, weight })),
  where: state.where || null,
  ...somewhere(),
  label: state.label || null,
  k: FOUND,
});

let latest = 0;

/** Shows what comes back, unless something else has been asked for since. */
async function answerWith(request, settings) {
  latest += 1;
  const mine = latest;
  const answer = await attempt(request);
  if (answer && mine === latest) take(answer, settings);
}

export const run = () => answerWith(() => api.search(asked()));

/** Searches again with what was marked right and wrong; the marks stay, and more can be added. */
export async function runRefined() {
  const marked = (kind) => [...state.marks].filter(([, mark]) => mark === kind).map(([id]) => id);
  const marks = [marked("good"), marked("bad")];
  await answerWith(() => api.refine(asked(), ...marks), { marks });
}

/** Asks again what was answered last, with the marks that it was asked with: only the label is another. */
function runAgain() {
  const { marks } = state.answer;
  return answerWith(() => (marks ? api.refine(asked(), ...marks) : api.search(asked())), { marks, keep: true });
}

function take(answer, { marks = null, keep = marks !== null } = {}) {
  if (!keep) state.marks.clear();
  state.answer = { ...answer, marks, parts: marks ? [] : state.parts.map((part) => part.name) };
  state.hits = answer.hits;
  for (const hit of answer.hits) if (hit.row !== null) state.ids.set(hit.row, hit.id_str);
  changed("answer");
  setScope("found");
  changed("marks");
}

function clearAnswer() {
  latest += 1; // what is still on its way has nothing to answer any more
  Object.assign(state, { answer: null, hits: [] });
  state.marks.clear();
  changed("answer");
  changed("marks");
  setScope("all");
}

/** Searches with a picture from a file, from the clipboard or dropped. */
export async function addFile(file) {
  if (!file) return;
  if (file.size > PICTURES) return say("The picture is larger than 20 MB; make it smaller.", { wrong: true });
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("the file cannot be read"));
    reader.readAsDataURL(file);
  });
  const drawing = file.type === "image/svg+xml" || file.name?.toLowerCase().endsWith(".svg");
  if (drawing) await addPart({ kind: "sketch", value: await file.text(), name: file.name, picture: url });
  else await addPart({ kind: "image", value: url, name: file.name || "picture", picture: url });
}

export function startQuery() {
  const words = $("#words");
  $("#query").addEventListener("submit", async (event) => {
    event.preventDefault();
    const parts = readWords(words.value);
    words.value = "";
    for (const part of parts) state.parts.push(part);
    changed("query");
    if (state.parts.length) await run();
    else say("Write what a galaxy should look like, draw it, or drop a picture here.");
  });
  words.addEventListener("keydown", (event) => {
    if (event.key !== "Backspace" || words.value || !state.parts.length) return;
    state.parts.pop();
    changed("query");
    if (state.parts.length) run();
    else clearAnswer();
  });
  $("#picture").addEventListener("click", () => $("#file").click());
  $("#file").addEventListener("change", (event) => {
    attempt(() => addFile(event.target.files[0]));
    event.target.value = "";
  });
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (!file) return;
    event.preventDefault();
    attempt(() => addFile(file));
  });
  addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    $("#drop").hidden = false;
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && ($("#drop").hidden = true));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("#drop").hidden = true;
    attempt(() => addFile(event.dataTransfer.files[0]));
  });
  on("right", () => state.answer && runAgain());
  on("query", () => {
    for (const old of document.querySelectorAll(".chip")) old.remove();
    words.before(...state.parts.map(chip));
    words.placeholder = state.parts.length ? "and …, not …" : "What does it look like? “a barred spiral galaxy, not a merger”";
  });
  on("marks", () => {
    const good = [...state.marks.values()].filter((mark) => mark === "good").length;
    $("#refine").hidden = !state.marks.size;
    $("#refine").textContent = `Refine: ${good} ✓ ${state.marks.size - good} ✗`;
  });
  $("#refine").addEventListener("click", runRefined);
}

export const moreLike = (id, weight = 1) =>
  addPart({ kind: "id", value: id, weight, name: id, picture: state.about.can.pictures ? api.cutout(id, 64) : null });
export const symbolPart = (one) =>
  addPart({ kind: "symbol", value: one.name, name: readable(one.title), picture: `data:image/svg+xml;utf8,${encodeURIComponent(one.svg)}` });
