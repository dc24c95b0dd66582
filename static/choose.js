"use strict";
// A field that names one of very many: proposals come as somebody types.

(() => {
  const PAUSE_MS = 200;

  for (const field of document.querySelectorAll("[data-search][list]")) {
    let timer = 0;
    let asked = "";

    field.addEventListener("focus", () => { if (!field.list.children.length) ask(); });
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE_MS);
    });

    async function ask() {
      asked = field.value.trim();
      const url = `${field.dataset.search}?${new URLSearchParams({ search: asked })}`;
      const answer = await fetch(url, { cache: "no-store" }).catch(() => null);
      if (!answer?.ok) return;
      const names = await answer.json();
      // An answer to what stood there before must not replace a newer one.
      if (asked !== field.value.trim()) return;
      field.list.replaceChildren(...names.map((name) => {
        const option = document.createElement("option");
        option.value = name;
        return option;
      }));
    }
  }
})();
