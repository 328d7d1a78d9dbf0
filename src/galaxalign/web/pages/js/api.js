// The server, by the names of its answers.

const ROOT = "/api/v1";

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(ROOT + path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer; is galaxalign serve still running?");
  }
  if (response.ok) return response;
  let detail = `the server answered ${response.status}`;
  try {
    detail = (await response.json()).detail ?? detail;
  } catch {
    // Not JSON: the number must do.
  }
  const error = new Error(typeof detail === "string" ? detail : JSON.stringify(detail));
  error.status = response.status;
  throw error;
}

const get = async (path) => (await ask(path)).json();
const send = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
const post = async (path, body, signal) => (await send(path, body, signal)).json();

const name = (id) => id.split("/").map(encodeURIComponent).join("/");

export const about = () => get("/about");
export const search = (query) => post("/search", query);
export const refine = (query, good, bad) => post("/refine", { query, good, bad });
export const symbols = () => get("/symbols");
export const galaxy = (id) => get(`/galaxies/${name(id)}`);
export const table = (request, signal) => post("/table", request, signal);
export const ids = (rows) => post("/ids", { rows });
export const labels = () => get("/labels");
export const label = (galaxies, text) => post("/labels", { ids: galaxies, label: text });
export const exported = async (rows, form) => (await send(`/export?format=${form}`, { rows })).blob();
export const exportedMarks = async (marks) => (await send("/export/marks", marks)).blob();
export const readMoc = async (file) => {
  const form = new FormData();
  form.append("file", file);
  return (await ask("/moc", { method: "POST", body: form })).json();
};
export const samp = () => get("/samp");
export const sampConnect = () => post("/connect/samp", {});
export const sampSend = (rows) => post("/send/samp", { rows });
export const sampHighlight = (id) => post("/highlight/samp", { id_str: id });
export const cutout = (id, size = 160, view = "model") => `${ROOT}/cutout/${name(id)}?size=${size}&view=${view}`;

/** x and y of all galaxies. */
export async function map() {
  const values = new Float32Array(await (await ask("/map")).arrayBuffer());
  const half = values.length / 2;
  return { x: values.slice(0, half), y: values.slice(half) };
}

/** A column as numbers or codes, with what they mean. */
export async function column(columnName) {
  const buffer = await (await ask(`/map/columns/${encodeURIComponent(columnName)}`)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const values = header.kind === "number" ? new Float32Array(buffer, 4 + length) : new Uint16Array(buffer, 4 + length);
  return { ...header, values };
}
