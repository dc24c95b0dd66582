"use strict";
// Fresh states and relative times. A page with data-live asks that address every few seconds
// and puts the parts that it answers into the elements of the same ids.

(() => {
  const { t } = window.hawserWords;
  const POLL_MS = 3000;
  const POLL_SLOWEST_MS = 30000;
  // An answer that takes longer will not come.
  const ANSWER_MS = 15000;
  // Something is on its way: look more often, for a while.
  const EAGER_POLL_MS = 700;
  const EAGER_FOR_MS = 20000;

  // --- times: <time datetime="..."> shows how long ago, with data-length only how long; its title
  // the local time

  const UNITS = [[t("d"), 86400], ["h", 3600], ["min", 60], ["s", 1]];
  // The browser's clock may be wrong; every answer tells the server's.
  let clockOffsetMs = 0;

  function ago(moment) {
    const seconds = (moment - (Date.now() + clockOffsetMs)) / 1000;
    const [unit, size] = UNITS.find(([, s]) => Math.abs(seconds) >= s) || UNITS[3];
    const number = Math.trunc(Math.abs(seconds) / size);
    if (!number) return t("now");
    return seconds > 0 ? t("in {number} {unit}", { number, unit }) : t("{number} {unit} ago", { number, unit });
  }

  // How long ago that was, in its two largest units: "3 d 4 h".
  function length(moment) {
    let left = Math.max(0, Math.floor((Date.now() + clockOffsetMs - moment) / 1000));
    const words = [];
    for (const [unit, size] of UNITS) {
      const number = Math.floor(left / size);
      left -= number * size;
      if (number) words.push(`${number} ${unit}`);
      else if (words.length) break;
    }
    return words.slice(0, 2).join(" ") || t("less than 1 s");
  }

  function shown(element, moment) {
    if (element.dataset.length !== undefined) return length(moment);
    const isOver = element.dataset.due !== undefined && moment <= Date.now() + clockOffsetMs;
    return isOver ? t("now") : ago(moment);
  }

  function showTimes(root = document) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = Date.parse(element.dateTime);
      if (Number.isNaN(moment)) continue;
      const text = shown(element, moment);
      if (element.textContent !== text) element.textContent = text;
      if (!element.title) element.title = new Date(moment).toLocaleString(document.documentElement.dataset.locale, { timeZone: document.documentElement.dataset.zone });
    }
  }

  // --- the poll

  const live = document.querySelector("[data-live]");
  const fresh = document.querySelector("[data-fresh]") || document.querySelector("[data-fresh-below]");
  const baseTitle = document.title.replace(/^(\? |\(\d+\) )/, "");
  const openedAt = Date.now();
  let etag = null;
  let delay = POLL_MS;
  let timer = null;
  let pictureAt = Date.now();
  let beatAt = null;
  let failed = false;
  // Parts that wait until the pointer is up: what is being clicked must not move or vanish.
  let held = null;
  let pointerIsDown = false;

  for (const [name, isDown] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) {
    window.addEventListener(name, () => {
      pointerIsDown = isDown;
      // The click comes right after the pointer is up.
      if (!isDown && held) setTimeout(release);
    }, true);
  }

  function release() {
    if (pointerIsDown || !held) return;
    const parts = held;
    held = null;
    put(parts);
  }

  function put(parts) {
    if (pointerIsDown) {
      held = { ...held, ...parts };
      return;
    }
    for (const [id, html] of Object.entries(parts)) {
      const element = document.getElementById(id);
      if (element) patch(element, html);
    }
    showTimes();
    document.dispatchEvent(new CustomEvent("refreshed"));
  }

  function patch(element, html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    // What has the focus may have moved to another row: it keeps the focus there.
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    const name = focused?.outerHTML;
    window.hawserPatch(element, template.content);
    if (focused && (document.activeElement !== focused || focused.outerHTML !== name)) refocus(element, name);
  }

  function refocus(part, outerHTML) {
    const same = [...part.querySelectorAll("a, button, summary")].find((element) => element.outerHTML === outerHTML);
    part.tabIndex = -1;
    (same || part).focus({ preventScroll: true });
  }

  async function poll() {
    try {
      const headers = { Accept: "application/json" };
      if (etag) headers["If-None-Match"] = etag;
      const answer = await fetch(live.dataset.live, { headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
      // Signed out, or the record is gone: the page itself says so.
      if (answer.status === 401 || answer.status === 404) { location.reload(); return; }
      if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
      const date = Date.parse(answer.headers.get("Date"));
      if (!Number.isNaN(date)) clockOffsetMs = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
      const age = parseFloat(answer.headers.get("Hawser-Heartbeat-Age"));
      beatAt = Number.isNaN(age) ? null : Date.now() - age * 1000;
      if (answer.status === 200) {
        etag = answer.headers.get("ETag");
        const body = await answer.json();
        put(body.parts);
        document.title = body.title + baseTitle;
      }
      pictureAt = Date.now() - 1000 * (parseFloat(answer.headers.get("Hawser-Picture-Age")) || 0);
      failed = false;
      delay = isEager() ? EAGER_POLL_MS : POLL_MS;
    } catch {
      failed = true;
      delay = Math.min(Math.max(delay, POLL_MS) * 2, POLL_SLOWEST_MS);
    }
    tick();
    schedule();
  }

  function isEager() {
    return live.dataset.eager !== undefined && Date.now() - openedAt < EAGER_FOR_MS;
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
    if (!live || !fresh) return;
    const seconds = Math.round((Date.now() - pictureAt) / 1000);
    const stale = failed || seconds > 10;
    fresh.classList.toggle("stale", stale);
    fresh.textContent = stale
      ? t("Not refreshed for {seconds} s: the server does not answer", { seconds })
      : t("Updated {seconds} s ago", { seconds });
  }

  if (live) {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) clearTimeout(timer);
      else poll();
    });
    if (isEager()) delay = EAGER_POLL_MS;
    schedule();
  }
  document.addEventListener("swapped", tick);
  tick();
  setInterval(tick, 1000);
})();
