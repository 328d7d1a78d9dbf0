// Selections as files, and the line to TOPCAT and Aladin.

import * as api from "./api.js";
import { $, attempt, count, h, say } from "./dom.js";
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
  const address = URL.createObjectURL(file);
  h("a", { href: address, download: `galaxies-${rows.length}.${SUFFIX[form]}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
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
  focusOn(now.row, { flash: true });
  say(`${now.highlighted} was highlighted elsewhere.`);
}

export function startExchange() {
  $("#export").addEventListener("change", (event) => {
    const form = event.target.value;
    event.target.value = "";
    if (form === "samp") sendTable();
    else if (form) download(form);
  });
  $("#samp").addEventListener("click", () => (listening ? disconnect() : connect()));
}
