"use strict";
// The form that publishes a message: rows of User Properties, one press is one message,
// and the history below is fresh once the end is known.

(() => {
  const form = document.querySelector("[data-publish]");
  if (!form) return;

  // --- User Properties

  const rows = form.querySelector("[data-pairs]");
  const pattern = form.querySelector("template[data-pair]");
  const add = form.querySelector("[data-add-pair]");
  let next = rows.rows.length;

  function showRemove(root) {
    for (const button of root.querySelectorAll("[data-remove-pair]")) button.hidden = false;
  }

  add.hidden = false;
  showRemove(rows);
  add.addEventListener("click", () => {
    const row = pattern.content.firstElementChild.cloneNode(true);
    for (const element of row.querySelectorAll("[name]")) {
      element.name = element.name.replace("user_properties-x-", `user_properties-${next}-`);
      element.id = element.name;
    }
    next += 1;
    rows.append(row);
    showRemove(row);
    row.querySelector("input").focus();
  });
  rows.addEventListener("click", (event) => {
    if (event.target.closest("[data-remove-pair]")) event.target.closest("tr").remove();
  });

  // --- one press, one message: the token stays until the end of what was sent is known

  const panel = document.getElementById("asked");
  const button = form.querySelector("[data-command]");

  form.addEventListener("submit", () => { setTimeout(() => { button.disabled = true; }); });
  panel.addEventListener("told", (event) => {
    const told = event.detail;
    if (told.final === false || told.asking) return;
    button.disabled = false;
    setTimeout(showWrong);
    if (!told.final) return;
    form.elements.token.value = newToken();
    refresh();
  });

  // A field that is wrong cannot be seen, nor reached, in a closed fold.
  function showWrong() {
    const wrong = form.querySelector('[aria-invalid="true"]');
    const fold = wrong?.closest("details");
    if (!fold) return;
    fold.open = true;
    wrong.focus();
  }

  function newToken() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async function refresh() {
    const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("history");
    if (fresh) document.getElementById("history").replaceWith(fresh);
  }
})();
