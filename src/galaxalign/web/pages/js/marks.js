// What was marked right and wrong, as labels to train with or as subjects for volunteers.

import * as api from "./api.js";
import { $, attempt, count, h, save, say } from "./dom.js";
import { state } from "./state.js";

const KINDS = [
  ["labels", "Labels to train with", "A catalogue of id, image and label, which galaxalign train takes."],
  ["manifest", "Subjects for Zooniverse", "A manifest for the Panoptes project builder; upload the images beside it."],
];

export function saveMarks() {
  const marked = (kind) => [...state.marks].filter(([, mark]) => mark === kind).map(([id]) => id);
  const [good, bad] = [marked("good"), marked("bad")];
  if (!good.length && !bad.length) return say("Nothing is marked: search, and mark what was found with ✓ and ✗.");
  const dialog = $("#marks");
  const words = state.parts.find((part) => part.weight > 0 && part.kind !== "id")?.name ?? "";
  const name = words.toLowerCase().replace(/^(an?|the)\s+/, "").replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_+|_+$/g, "").slice(0, 60);
  const label = h("input", { id: "marks-label", type: "text", value: name, maxlength: 100, required: true });
  const other = h("input", { id: "marks-other", type: "text", maxlength: 100, placeholder: "not_…" });
  const form = h("form", { class: "inside", onsubmit: async (event) => {
    event.preventDefault();
    const manifest = new FormData(form).get("kind") === "manifest";
    const file = await attempt(() => api.exportedMarks({ good, bad, label: label.value, other: other.value, manifest }));
    if (!file) return;
    dialog.close();
    save(file, manifest ? "manifest.csv" : "marks.csv");
  } },
  h("p", {}, `${count(good.length)} marked right, ${count(bad.length)} wrong.`),
  ...KINDS.map(([value, title, about], k) => h("label", { class: "choice" }, h("input", { type: "radio", name: "kind", value, checked: k === 0 }), h("span", {}, h("b", {}, title), h("br"), h("span", { class: "quiet" }, about)))),
  h("div", { class: "fields" }, h("label", { for: "marks-label" }, "The right ones are"), label, h("label", { for: "marks-other" }, "The wrong ones are"), other),
  h("div", { class: "actions" }, h("button", { class: "main" }, "Save"), h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
  dialog.replaceChildren(h("div", { class: "head" }, h("h2", {}, "Save what you marked")), form);
  dialog.showModal();
  label.focus();
}
