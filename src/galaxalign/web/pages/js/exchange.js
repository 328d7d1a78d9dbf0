// Selections as files, and the line to TOPCAT and Aladin.

import * as api from "./api.js";
import { $, attempt, count, debounce, save, say } from "./dom.js";
import { saveMarks } from "./marks.js";
import { focusOn, on, remember, state } from "./state.js";

const SUFFIX = { csv: "csv", parquet: "parquet", fits: "fits", votable: "vot" };
let listening = null;
let serial = 0;

function chosen() {
  if (state.selected.size) return [...state.selected];
  return state.hits.map((hit) => hit.row).filter((row) => row !== null);
}

async function download(form) {
  const rows = chosen();
  if (!rows.length) return say("Nothing to export: select galaxies, or search for some.");
  const file = await attempt(() => api.exported(rows, form));
  if (!file) return;
  save(file, `galaxies-${rows.length}.${SUFFIX[form]}`);
}

async function sendTable() {
  const rows = chosen();
  if (!rows.length) return say("Nothing to send: select galaxies, or search for some.");
  if (!listening && !(await connect())) return;
  const answer = await attempt(() => api.sampSend(rows));
  if (answer) say(`${count(rows.length)} galaxies sent to ${answer.clients.join(", ")}.`);
}

async function connect() {
  const answer = await attempt(api.sampConnect);
  if (!answer) return false;
  serial = answer.serial;
  listening = setInterval(listen, 1000);
  $("#samp").setAttribute("aria-pressed", "true");
  say(answer.clients.length ? `Connected to ${answer.clients.join(", ")}.` : "Connected; no other program takes tables yet.");
  return true;
}

function disconnect() {
  clearInterval(listening);
  listening = null;
  $("#samp").setAttribute("aria-pressed", "false");
}

async function listen() {
  let now;
  try {
    now = await api.samp();
  } catch {
    return disconnect();
  }
  if (!now.connected) {
    disconnect();
    return say("The SAMP hub has gone.");
  }
  if (now.serial === serial) return;
  serial = now.serial;
  remember(now.row, now.highlighted);
  focusOn(now.row, { flash: true, told: true });
  say(`${now.highlighted} was highlighted elsewhere.`);
}

/** Points at a galaxy in the other programs, once it has stayed in focus for a moment. */
const point = debounce((row) => {
  const id = state.ids.get(row);
  if (listening && id !== undefined && row === state.focus) attempt(() => api.sampHighlight(id));
}, 250);

export function startExchange() {
  // What another program has pointed at is not sent back to it.
  on("focus", ({ row, told }) => !told && listening && point(row));
  $("#export").addEventListener("change", (event) => {
    const form = event.target.value;
    event.target.value = "";
    if (form === "samp") sendTable();
    else if (form === "marks") saveMarks();
    else if (form) download(form);
  });
  $("#samp").addEventListener("click", () => (listening ? disconnect() : connect()));
}
