// Small things that every part of the page needs.

export const $ = (selector) => document.querySelector(selector);

/** Makes an element: h("button", { class: "main", onclick }, "Search"). Text is never read as HTML. */
export function h(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") element.style.cssText = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Tells the user something for a few seconds; what went wrong stays longer. */
export function say(text, { wrong = false } = {}) {
  const toast = h("div", { class: wrong ? "toast wrong" : "toast" }, text);
  const box = $("#toasts");
  box.append(toast);
  while (box.children.length > 3) box.firstChild.remove();
  setTimeout(() => toast.remove(), wrong ? 9000 : 3500);
}

/** Runs something asynchronous and tells what went wrong, in the server's own sentence. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (error.name !== "AbortError") say(sentence(error.message), { wrong: true });
    return undefined;
  }
}

export function sentence(text) {
  const trimmed = String(text).trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
}

/** Lets the browser save a file. */
export function save(file, called) {
  const address = URL.createObjectURL(file);
  h("a", { href: address, download: called }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export const count = (number) => number.toLocaleString("en");

/** A class or column as people read it: "early_spiral" becomes "early spiral". */
export const readable = (name) => (name === "id_str" ? "id" : name.replaceAll("_", " "));

export function debounce(action, wait) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), wait);
  };
}

/** Whether keys belong to a field that is being written in. */
export const typing = (event) => /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
