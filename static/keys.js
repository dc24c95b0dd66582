"use strict";
// Single keys: / to the search, g and a letter to a page, n for a new connection, j and k
// through the rows, ? for the list of them. Never while somebody types, never with Ctrl, Alt
// or the Command key; and they can be switched off, for those who speak to their computer.

(() => {
  const OFF = "hawser-keys-off";
  const dialog = document.getElementById("keys");
  const switchedOn = dialog?.querySelector("[data-keys-on]");
  if (!dialog) return;

  // --- on or off, remembered by this browser

  function stored() {
    try { return localStorage.getItem(OFF) === null; } catch { return true; }
  }

  switchedOn.checked = stored();
  switchedOn.addEventListener("change", () => {
    try {
      if (switchedOn.checked) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "1");
    } catch { /* a browser that stores nothing forgets it with the page */ }
  });

  // --- what is there to go to

  const search = () => document.querySelector('main input[type="search"]');
  const pages = new Map([...document.querySelectorAll("[data-go]")].map((link) => [link.dataset.go, link]));

  function rows() {
    return [...document.querySelectorAll("main table.rows tbody tr")].filter((row) => goal(row));
  }

  function goal(row) {
    return row.querySelector("[data-open], td a[href]");
  }

  function move(step) {
    const found = rows();
    if (!found.length) return;
    const at = found.findIndex((row) => row.contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : found.length - 1) : Math.min(Math.max(at + step, 0), found.length - 1);
    goal(found[next]).focus();
  }

  const KEYS = {
    "/": () => search()?.focus(),
    "?": () => dialog.showModal(),
    j: () => move(1),
    k: () => move(-1),
    n: () => { if (dialog.dataset.new) location.href = dialog.dataset.new; },
  };

  // --- the keys themselves

  const TOGETHER_MS = 1500; // between g and the letter
  let afterG = 0;

  function isTyping(target) {
    return target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.defaultPrevented) return;
    if (event.key !== "?" && !switchedOn.checked) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const isSecond = event.timeStamp - afterG < TOGETHER_MS;
    afterG = event.key === "g" ? event.timeStamp : 0;
    const act = isSecond && pages.has(event.key) ? () => pages.get(event.key).click() : KEYS[event.key];
    if (!act || event.key === "g") return;
    event.preventDefault();
    act();
  });

  search()?.setAttribute("aria-keyshortcuts", "/");
})();
