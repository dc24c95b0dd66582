"use strict";
// Everything that a page does by itself: fresh states, relative times, confirmations,
// the phone menu and the rows of the subscriptions table. No library, no inline code.

(() => {
  const POLL_MS = 3000;
  const POLL_SLOWEST_MS = 30000;

  // --- times: <time datetime="..."> shows how long ago, its title the local time

  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  // The browser's clock may be wrong; every answer tells the server's.
  let clockOffsetMs = 0;

  function ago(moment) {
    const seconds = (moment - (Date.now() + clockOffsetMs)) / 1000;
    const [unit, size] = UNITS.find(([, s]) => Math.abs(seconds) >= s) || UNITS[3];
    const number = Math.trunc(Math.abs(seconds) / size);
    if (!number) return "now";
    return seconds > 0 ? `in ${number} ${unit}` : `${number} ${unit} ago`;
  }

  function showTimes(root = document) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = Date.parse(element.dateTime);
      if (Number.isNaN(moment)) continue;
      const text = ago(moment);
      if (element.textContent !== text) element.textContent = text;
      if (!element.title) element.title = new Date(moment).toLocaleString();
    }
  }

  // --- the poll

  const live = document.querySelector("[data-live]");
  const fresh = document.querySelector("[data-fresh]");
  const baseTitle = document.title.replace(/^(\? |\(\d+\) )/, "");
  let etag = null;
  let delay = POLL_MS;
  let timer = null;
  let pictureAt = Date.now();
  let beatAt = null;
  let failed = false;

  function put(parts) {
    for (const [id, html] of Object.entries(parts)) {
      const element = document.getElementById(id);
      if (element && element.dataset.html !== html) {
        const open = [...element.querySelectorAll("details[id][open]")].map((details) => details.id);
        const focused = element.contains(document.activeElement) ? document.activeElement.outerHTML : null;
        element.dataset.html = html;
        element.innerHTML = html;
        for (const key of open) document.getElementById(key)?.setAttribute("open", "");
        if (focused) refocus(element, focused);
      }
    }
  }

  // Who goes by keyboard stays at the same link or button, or where it was.
  function refocus(part, outerHTML) {
    const same = [...part.querySelectorAll("a, button, summary")].find((element) => element.outerHTML === outerHTML);
    part.tabIndex = -1;
    (same || part).focus({ preventScroll: true });
  }

  async function poll() {
    try {
      const headers = { Accept: "application/json" };
      if (etag) headers["If-None-Match"] = etag;
      const answer = await fetch(live.dataset.live, { headers, cache: "no-store" });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
      const date = Date.parse(answer.headers.get("Date"));
      if (!Number.isNaN(date) && Math.abs(date - Date.now()) > 2000) clockOffsetMs = date - Date.now();
      const age = parseFloat(answer.headers.get("Hawser-Heartbeat-Age"));
      beatAt = Number.isNaN(age) ? null : Date.now() - age * 1000;
      if (answer.status === 200) {
        etag = answer.headers.get("ETag");
        const body = await answer.json();
        put(body.parts);
        document.title = body.title + baseTitle;
      }
      pictureAt = Date.now();
      failed = false;
      delay = POLL_MS;
    } catch {
      failed = true;
      delay = Math.min(delay * 2, POLL_SLOWEST_MS);
    }
    tick();
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(poll, delay);
  }

  function tick() {
    showTimes();
    if (beatAt !== null) {
      for (const element of document.querySelectorAll("[data-heartbeat-age]")) {
        element.textContent = String(Math.max(0, Math.round((Date.now() - beatAt) / 1000)));
      }
    }
    if (fresh) {
      const seconds = Math.round((Date.now() - pictureAt) / 1000);
      const stale = failed || seconds > 10;
      fresh.classList.toggle("stale", stale);
      fresh.textContent = stale
        ? `Not refreshed for ${seconds} s: the server does not answer`
        : `Updated ${seconds} s ago`;
    }
  }

  if (live) {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) clearTimeout(timer);
      else poll();
    });
    schedule();
  }
  tick();
  setInterval(tick, 1000);

  // --- confirmations: these buttons do nothing without this script, so nothing is
  // ever deleted without a question

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.confirm !== undefined) {
      if (window.confirm(button.dataset.confirm)) button.form.submit();
    } else if (button.dataset.confirmSelected !== undefined) {
      askForSelected(button);
    }
  });

  function selectedRows() {
    return [...document.querySelectorAll('input[name="rowid"][form="bulk"]:checked')];
  }

  function askForSelected(button) {
    const names = selectedRows().map((box) => box.getAttribute("aria-label").replace(/^Select /, ""));
    if (!names.length) { window.alert("Select at least one connection first."); return; }
    const shown = names.slice(0, 10).join(", ") + (names.length > 10 ? ` and ${names.length - 10} more` : "");
    if (!window.confirm(`${button.dataset.confirmSelected}\n\n${names.length}: ${shown}`)) return;
    const action = document.createElement("input");
    action.type = "hidden";
    action.name = "action";
    action.value = button.dataset.action;
    button.form.append(action);
    button.form.submit();
  }

  document.querySelector("[data-bulk]")?.addEventListener("submit", (event) => {
    if (selectedRows().length) return;
    event.preventDefault();
    window.alert("Select at least one connection first.");
  });

  document.querySelector("[data-tick-all]")?.addEventListener("change", (event) => {
    for (const box of document.querySelectorAll('input[name="rowid"][form="bulk"]')) {
      box.checked = event.target.checked;
    }
  });

  // --- the subscriptions table

  const rows = document.querySelector("[data-rows]");
  const pattern = document.querySelector("template[data-row]");
  let nextRow = rows ? rows.rows.length : 0;

  document.querySelector("[data-add-row]")?.addEventListener("click", () => {
    const row = pattern.content.firstElementChild.cloneNode(true);
    for (const element of row.querySelectorAll("[name]")) {
      element.name = element.name.replace("subscriptions-x-", `subscriptions-${nextRow}-`);
      element.id = element.name;
    }
    nextRow += 1;
    rows.append(row);
    row.querySelector("input").focus();
  });

  rows?.addEventListener("click", (event) => {
    if (event.target.closest("[data-remove-row]")) event.target.closest("tr").remove();
  });

  // --- what a Keep Alive means, while one types it (the rules are webapp/detection.py's)

  const detection = document.querySelector("[data-detection]");
  const keepAlive = detection && document.getElementById(detection.dataset.detection);

  function showDetection() {
    const text = keepAlive.value.trim();
    const seconds = /^\d+$/.test(text) ? Number(text) : 0;
    for (const answer of detection.querySelectorAll("[data-factor]")) {
      const rule = answer.dataset;
      let start = Number(rule.factor) * Math.max(seconds, Number(rule.least));
      start = (rule.whole === undefined ? start : Math.floor(start)) + Number(rule.plus);
      const words = rule.text.replace("{from}", start).replace("{to}", start + Number(rule.spread));
      answer.textContent = seconds >= 1 && seconds <= 65535 ? words : "–";
    }
    const advice = detection.querySelector("[data-advice]");
    advice.hidden = seconds <= Number(advice.dataset.advice);
  }

  keepAlive?.addEventListener("input", showDetection);

  // --- after a refused save: go to the first field that is wrong

  document.querySelector('[aria-invalid="true"]')?.focus();

  // --- the phone menu

  const menuButton = document.querySelector(".menu-button");
  if (menuButton) {
    const menu = document.getElementById(menuButton.getAttribute("aria-controls"));
    menuButton.hidden = false;
    menu.classList.add("folds");
    menuButton.addEventListener("click", () => {
      const open = menuButton.getAttribute("aria-expanded") !== "true";
      menuButton.setAttribute("aria-expanded", String(open));
      menu.classList.toggle("open", open);
    });
  }
})();
