"use strict";
// The list of connections: ticks, the filter by site, and sites that open without a reload.

(() => {
  const { n, t } = window.hawserWords;
  const list = document.getElementById("list");

  // --- ticks

  const boxes = () => [...list.querySelectorAll('input[name="rowid"][form="bulk"]')];

  function tell() {
    const words = list.querySelector("[data-with]");
    if (!words) return;
    const whole = list.querySelector('input[name="all"]');
    const number = boxes().filter((box) => box.checked).length;
    words.textContent = whole?.checked
      ? t("{all}:", { all: whole.dataset.words })
      : n("{number} selected:", "{number} selected:", number);
  }

  list.addEventListener("change", (event) => {
    const changed = event.target;
    if (changed.matches("[data-tick-all]")) {
      for (const box of boxes()) box.checked = changed.checked;
    }
    if (changed.matches("[data-sends]")) changed.form.requestSubmit();
    else if (changed.matches('input[type="checkbox"]')) tell();
  });

  // --- a link with data-swap changes only the table: the page stays where it is

  list.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-swap]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.setAttribute("aria-busy", "true");
    const answer = await fetch(link.href).catch(() => null);
    if (!answer?.ok) { location.href = link.href; return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("list");
    if (!page) { location.href = link.href; return; }
    const place = link.closest("tbody").querySelector(".site-state").id;
    const ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
    for (const part of ["table.rows", "#bulk"]) swap(list.querySelector(part), page.querySelector(part));
    for (const box of boxes()) box.checked = ticked.has(box.value);
    tell();
    list.dataset.live = page.dataset.live;
    history.replaceState(null, "", link.href);
    document.getElementById(place)?.closest("tr").querySelector("[data-swap]").focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent("swapped"));
  });

  function swap(before, after) {
    if (before && after) before.replaceWith(document.importNode(after, true));
  }
})();
