"use strict";
// The list of messages: new ones come on top while one follows, and a search that ran out of
// time goes on by itself. Nothing is asked while the page is hidden.

(() => {
  const { t, language } = window.hawserWords;
  const LOOK_MS = 2000;
  const LOOK_SLOWEST_MS = 30000;
  const MOST_ROWS = 500;

  const page = document.querySelector("[data-messages]");
  if (!page) return;
  const table = page.querySelector("table.messages");
  const body = table.tBodies[0];
  const follow = page.querySelector("[data-tail]");
  const told = page.querySelector("[data-tail-told]");

  function address(values) {
    const url = new URL(page.dataset.messages, location.href);
    for (const [name, value] of Object.entries(values)) url.searchParams.set(name, value);
    return url;
  }

  // Returns the answer, null when nothing has changed since `etag`.
  async function ask(values, etag) {
    const headers = { Accept: "application/json" };
    if (etag) headers["If-None-Match"] = etag;
    const answer = await fetch(address(values), { headers, cache: "no-store" });
    if (answer.status === 401) { location.reload(); return null; }
    if (answer.status === 304) return null;
    if (!answer.ok) throw new Error(String(answer.status));
    return { etag: answer.headers.get("ETag"), ...(await answer.json()) };
  }

  function rowsOf(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content;
  }

  function show() {
    table.hidden = false;
    page.querySelector("[data-empty]")?.remove();
  }

  // --- the live tail

  let after = follow ? Number(follow.dataset.tail) : 0;
  let etag = null;
  let delay = LOOK_MS;
  let timer = null;
  let lookedAt = null;
  let arrived = 0;
  let failed = false;

  const follows = () => follow.getAttribute("aria-pressed") === "true";

  async function look() {
    try {
      const news = await ask({ after }, etag);
      if (!follows()) return;
      if (news) {
        etag = news.after === after ? news.etag : null;
        after = news.after;
        if (news.found) put(news);
      }
      lookedAt = Date.now();
      failed = false;
      delay = LOOK_MS;
    } catch {
      failed = true;
      delay = Math.min(delay * 2, LOOK_SLOWEST_MS);
    }
    tell();
    schedule();
  }

  function put(news) {
    arrived += news.found;
    show();
    body.prepend(rowsOf(news.rows));
    while (body.rows.length > MOST_ROWS) body.rows[body.rows.length - 1].remove();
  }

  function schedule() {
    clearTimeout(timer);
    if (follows() && !document.hidden) timer = setTimeout(look, delay);
  }

  function tell() {
    const seconds = lookedAt === null ? 0 : Math.round((Date.now() - lookedAt) / 1000);
    const stale = follows() && (failed || seconds > 10);
    told.classList.toggle("stale", stale);
    const number = arrived.toLocaleString(language());
    if (!follows()) told.textContent = arrived ? t("Stopped; {number} came", { number }) : "";
    else if (stale) told.textContent = t("Not refreshed for {seconds} s: the server does not answer", { seconds });
    else told.textContent = t("Live, {number} came; updated {seconds} s ago", { number, seconds });
  }

  if (follow) {
    follow.hidden = false;
    follow.addEventListener("click", () => {
      const on = !follows();
      follow.setAttribute("aria-pressed", String(on));
      follow.textContent = on ? t("Stop following") : t("Follow live");
      clearTimeout(timer);
      if (on) { failed = false; lookedAt = Date.now(); look(); }
      tell();
    });
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      if (follows() && !document.hidden) look();
    });
    setInterval(() => { if (follows()) tell(); }, 1000);
  }

  // --- a search that goes on

  const onward = page.querySelector("[data-onward]");
  const stop = page.querySelector("[data-stop]");
  const reached = page.querySelector("[data-told]");
  const pageSize = Number(page.dataset.pageSize);
  let searching = false;
  let stopped = false;

  async function search() {
    searching = true;
    stop.hidden = false;
    onward.hidden = true;
    let missing = pageSize - body.rows.length;
    while (searching && missing > 0 && !document.hidden) {
      const place = new URL(onward.href).searchParams;
      let answer;
      try {
        answer = await ask({ before: place.get("before"), ...(place.has("scan") ? { scan: 1 } : {}) });
      } catch {
        break;
      }
      if (!answer) break;
      if (answer.found) { show(); body.append(rowsOf(answer.rows)); missing -= answer.found; }
      reached.innerHTML = answer.told;
      reached.hidden = false;
      if (!onwards(answer)) break;
    }
    searching = false;
    stop.hidden = true;
    if (onward.isConnected) onward.hidden = false;
  }

  // Sets the link to where the search may go on; false when it has ended.
  function onwards(answer) {
    if (!("before" in answer.onward)) {
      onward.remove();
      reached.textContent = body.rows.length ? t("That is all.") : t("No message matches; everything was looked through.");
      return false;
    }
    const next = new URL(onward.href);
    for (const [name, value] of Object.entries(answer.onward)) next.searchParams.set(name, value);
    onward.href = next;
    if (answer.stopped) return true;
    onward.textContent = t("Older");
    onward.dataset.stopped = "no";
    reached.hidden = true;
    return false;
  }

  if (onward && onward.dataset.stopped === "yes") {
    stop.addEventListener("click", () => { searching = false; stopped = true; });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && onward.isConnected && onward.dataset.stopped === "yes" && !searching && !stopped) search();
    });
    search();
  }
})();
