"use strict";
// Buttons with data-command ask the worker for something without leaving the page; the
// element that data-command names shows what comes of it. Without this script the same
// buttons lead to a page that tells the same.

(() => {
  const { t } = window.hawserWords;
  const LOOK_MS = 300;
  const GIVE_UP_AFTER = 10; // looks without an answer
  // Counts the requests of each panel: an older one must not write over a newer.
  const latest = new Map();

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    const panel = button && document.getElementById(button.dataset.command);
    if (!panel) return;
    event.preventDefault();
    const real = button.form.elements.use_real_client_id;
    if (button.dataset.asks !== undefined && real?.checked && !window.confirm(real.dataset.question)) return;
    ask(button, panel);
  });

  async function ask(button, panel) {
    const number = (latest.get(panel) || 0) + 1;
    latest.set(panel, number);
    const isLatest = () => latest.get(panel) === number;
    clearErrors(button.form);
    tell(panel, { sentence: t("Asking…"), tone: "off", html: "", asking: true });
    panel.scrollIntoView({ block: "nearest" });
    try {
      const body = new FormData(button.form);
      if (button.name) body.append(button.name, button.value);
      // With the second one a refusal is no error in the browser's log either.
      const headers = { Accept: "application/json", "Hawser-Own-Script": "yes" };
      // A button without an address of its own would answer with that of the page.
      const address = button.getAttribute("formaction") || button.form.getAttribute("action");
      const answer = await fetch(address, { method: "POST", body, headers });
      if (answer.status === 401) { location.reload(); return; }
      const told = await answer.json();
      if (told.url) await follow(panel, told.url, isLatest);
      else if (isLatest()) {
        tell(panel, { tone: "bad", ...told });
        showErrors(told.errors || {});
      }
    } catch {
      if (isLatest()) tell(panel, { sentence: t("The web server did not take it. Reload the page and try again."), tone: "bad" });
    }
  }

  async function follow(panel, url, isLatest) {
    let missed = 0;
    while (isLatest()) {
      try {
        const answer = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store" });
        // The session has ended: the page leads to where one signs in, and says so.
        if (answer.status === 401) { location.reload(); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        const told = await answer.json();
        if (!isLatest()) return;
        missed = 0;
        tell(panel, told);
        if (told.final) return;
      } catch {
        missed += 1;
        if (missed >= GIVE_UP_AFTER) {
          tell(panel, { sentence: t("The web server does not answer; nobody knows what came of it."), tone: "bad" });
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  function tell(panel, told) {
    const outcome = panel.querySelector("[data-outcome]");
    const text = [told.sentence, told.next_step].filter(Boolean).join(" ");
    outcome.hidden = false;
    outcome.className = `verdict ${told.tone}`;
    if (outcome.textContent !== text) outcome.textContent = text;
    panel.dispatchEvent(new CustomEvent("told", { detail: told }));
    const details = panel.querySelector("[data-details]");
    if (details && told.html !== undefined && details.dataset.html !== told.html) {
      const isNew = !details.dataset.html;
      details.dataset.html = told.html;
      details.innerHTML = told.html;
      if (isNew || told.final) panel.scrollIntoView({ block: "nearest" });
    }
  }

  // --- what is wrong with the form, said at the fields as after a save

  function clearErrors(form) {
    for (const error of form.querySelectorAll(".error")) error.remove();
    for (const field of form.querySelectorAll("[aria-invalid]")) clearError(field);
  }

  // Takes away what an earlier look found wrong with a field, in the list on top too.
  function clearError(field) {
    document.getElementById(`${field.id}-error`)?.remove();
    field.removeAttribute("aria-invalid");
    describe(field, "");
    field.closest(".wrong")?.classList.remove("wrong");
    const list = document.querySelector("[data-refused]");
    if (!list) return;
    list.querySelector(`a[href="#${CSS.escape(field.id)}"]`)?.closest("li").remove();
    if (!list.querySelector("li")) list.remove();
  }

  // What is entered anew is no longer what was wrong; the next save or test looks again.
  for (const kind of ["input", "change"]) {
    document.addEventListener(kind, (event) => {
      if (event.target.getAttribute("aria-invalid") === "true") clearError(event.target);
    });
  }

  function showErrors(errors) {
    for (const [id, sentence] of Object.entries(errors)) {
      const field = document.getElementById(id);
      if (!field) continue;
      const error = document.createElement("p");
      error.className = "error";
      error.id = `${id}-error`;
      error.textContent = sentence;
      field.setAttribute("aria-invalid", "true");
      field.after(error);
      field.closest(".field, td")?.classList.add("wrong");
      describe(field, error.id);
    }
    document.querySelector('[aria-invalid="true"]')?.focus();
  }

  function describe(field, error) {
    const help = document.getElementById(`${field.id}-help`)?.id;
    const ids = [error, help].filter(Boolean).join(" ");
    if (ids) field.setAttribute("aria-describedby", ids);
    else field.removeAttribute("aria-describedby");
  }

  // --- menus of the list's rows

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.more[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.more[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
