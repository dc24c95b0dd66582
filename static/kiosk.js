"use strict";
// The wall view: polls for ever, through outages of web and database, and says when what it
// shows is old. Nobody stands beside it to reload.

(() => {
  const POLL_MS = 3000;
  const POLL_SLOWEST_MS = 15000;
  // A picture older than this is not to be relied on.
  const STALE_S = 10;
  // An answer that takes longer will not come.
  const ANSWER_MS = 10000;

  const { t } = window.hawserWords;
  const { locale, zone } = document.documentElement.dataset;
  const wall = document.querySelector("[data-wall]");
  const stale = document.getElementById("stale");
  const clock = document.getElementById("clock");
  const age = document.getElementById("age");
  const baseTitle = document.title.replace(/^(\? |\(\d+\) )/, "");
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let etag = null;
  let delay = POLL_MS;
  let pictureAt = Date.now();
  let clockOffsetMs = 0;
  let why = null;

  async function poll() {
    try {
      const headers = { Accept: "application/json" };
      if (etag) headers["If-None-Match"] = etag;
      const signal = AbortSignal.timeout(ANSWER_MS);
      const answer = await fetch(wall.dataset.wall, { headers, cache: "no-store", signal });
      await take(answer);
    } catch {
      failed(t("the server does not answer"));
    }
    tick();
    setTimeout(poll, delay);
  }

  async function take(answer) {
    if (answer.status === 401 || answer.status === 403) {
      failed(t("the session has ended: sign in again"));
    } else if (answer.status !== 200 && answer.status !== 304) {
      failed(t("the server cannot reach its data"));
    } else {
      if (answer.status === 200) put(await answer.json());
      etag = answer.headers.get("ETag");
      const date = Date.parse(answer.headers.get("Date"));
      if (!Number.isNaN(date)) clockOffsetMs = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
      pictureAt = Date.now() - 1000 * (parseFloat(answer.headers.get("Hawser-Picture-Age")) || 0);
      why = null;
      delay = POLL_MS;
    }
  }

  function failed(reason) {
    why = reason;
    delay = Math.min(delay * 2, POLL_SLOWEST_MS);
  }

  function put(body) {
    for (const [id, html] of Object.entries(body.parts)) {
      const element = document.getElementById(id);
      if (element && element.dataset.html !== html) {
        element.dataset.html = html;
        element.innerHTML = html;
      }
    }
    document.title = body.title + baseTitle;
  }

  function ago(moment) {
    const seconds = Math.max(0, (Date.now() + clockOffsetMs - moment) / 1000);
    const [unit, size] = UNITS.find(([, s]) => seconds >= s) || UNITS[3];
    return `${Math.trunc(seconds / size)} ${unit === "d" ? t("d") : unit}`;
  }

  function tick() {
    for (const element of document.querySelectorAll("time[datetime]")) {
      const moment = Date.parse(element.dateTime);
      if (!Number.isNaN(moment)) element.textContent = ago(moment);
    }
    const seconds = Math.max(0, Math.round((Date.now() - pictureAt) / 1000));
    clock.textContent = new Date().toLocaleTimeString(locale, { timeZone: zone, timeZoneName: "short" });
    age.textContent = t("Updated {seconds} s ago", { seconds });
    const isOld = seconds > STALE_S;
    wall.classList.toggle("stale", isOld);
    stale.hidden = !why && !isOld;
    const text = why || t("the server does not answer");
    const words = t("Not refreshed for {seconds} s: {reason}", { seconds, reason: text });
    if (!stale.hidden && stale.textContent !== words) stale.textContent = words;
  }

  setTimeout(poll, POLL_MS);
  tick();
  setInterval(tick, 1000);
})();
