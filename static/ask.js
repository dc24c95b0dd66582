"use strict";
// Questions before something is lost for good. Loaded before the page's body, not deferred:
// a button that asks must never stand on the page before what asks for it, or a quick click
// would be lost. Without this script these buttons do nothing, so nothing is ever deleted
// without a question.

(() => {
  const { t } = window.hawserWords;
  const SHOWN = 10; // names in a question

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (!button) return;
    if (button.dataset.confirm !== undefined) {
      if (window.confirm(button.dataset.confirm)) send(button.form, button);
    } else if (button.dataset.confirmSelected !== undefined) {
      askForSelected(button);
    }
  });

  function selected() {
    return [...document.querySelectorAll('input[name="rowid"][form="bulk"]:checked')];
  }

  // "All that match" counts instead of the rows that are ticked.
  function wholeFilter() {
    const box = document.querySelector('input[name="all"][form="bulk"]');
    return box?.checked ? box : null;
  }

  function nothingSelected() {
    if (wholeFilter() || selected().length) return false;
    window.alert(t("Select at least one connection first."));
    return true;
  }

  function askForSelected(button) {
    if (nothingSelected()) return;
    if (window.confirm(`${button.dataset.confirmSelected}\n\n${whom()}`)) send(button.form, button);
  }

  function whom() {
    const all = wholeFilter();
    if (all) return all.dataset.words;
    const names = selected().map((box) => box.dataset.name);
    const shown = names.slice(0, SHOWN).join(", ");
    const number = names.length;
    return number > SHOWN
      ? t("{number}: {names} and {others} more", { number, names: shown, others: number - SHOWN })
      : t("{number}: {names}", { number, names: shown });
  }

  function send(form, button) {
    if (button.dataset.action) {
      const action = document.createElement("input");
      action.type = "hidden";
      action.name = "action";
      action.value = button.dataset.action;
      form.append(action);
    }
    busy(button);
    form.submit();
  }

  // Thousands take a moment: say so, and do not take the order twice.
  function busy(button) {
    button.setAttribute("aria-busy", "true");
    if (button.dataset.busy) button.textContent = button.dataset.busy;
    const form = button.form;
    // After the form is sent: a disabled button would not send its value.
    setTimeout(() => {
      for (const other of form.elements) if (other.type === "submit" || other.type === "button") other.disabled = true;
    });
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-bulk]")) return;
    if (nothingSelected()) event.preventDefault();
    else if (event.submitter) busy(event.submitter);
  });

  // Back through the history: the buttons work again.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
})();
