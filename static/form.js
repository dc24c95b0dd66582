"use strict";
// The form of a connection: rows of subscriptions, what a Keep Alive means, and changes that
// must not be lost by accident. Loaded before the body, so that no click comes too early.

(() => {
  // --- the subscriptions table

  let nextRow = 0;

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-add-row], [data-remove-row]");
    if (!button) return;
    if (button.dataset.addRow === undefined) remove(button.closest("tr"));
    else add(document.querySelector("[data-rows]"));
  });

  function add(rows) {
    const row = document.querySelector("template[data-row]").content.firstElementChild.cloneNode(true);
    // A number that no row has, one that was removed included.
    nextRow = Math.max(nextRow, rows.rows.length);
    for (const element of row.querySelectorAll("[name]")) {
      element.name = element.name.replace("subscriptions-x-", `subscriptions-${nextRow}-`);
      element.id = element.name;
    }
    nextRow += 1;
    rows.append(row);
    row.querySelector("input").focus();
  }

  function remove(row) {
    const rows = row.parentElement;
    nextRow = Math.max(nextRow, rows.rows.length);
    const next = row.nextElementSibling || row.previousElementSibling;
    row.remove();
    change();
    (next?.querySelector("input") || document.querySelector("[data-add-row]")).focus();
  }

  // --- what a Keep Alive means, while one types it (the rules are webapp/connections/detection.py's)

  function showDetection(detection, keepAlive) {
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

  function foresee() {
    const detection = document.querySelector("[data-detection]");
    const keepAlive = detection && document.getElementById(detection.dataset.detection);
    if (!keepAlive) return;
    const show = () => showDetection(detection, keepAlive);
    keepAlive.addEventListener("input", show);
    // Somebody quick has typed already.
    show();
  }

  // --- changes that are not saved

  let isChanged = false;
  let isLeaving = false;

  function change() {
    isChanged = true;
    document.querySelector("[data-changed]").hidden = false;
  }

  function isEntered(field) {
    if (field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((option) => option.selected && !option.defaultSelected && option.index);
    return field.type !== "hidden" && field.defaultValue !== undefined && field.value !== field.defaultValue;
  }

  function guard(form) {
    const isDirty = form.dataset.dirty !== undefined;
    if (isDirty || [...form.elements].some((field) => !field.closest("#test") && isEntered(field))) change();
    form.addEventListener("input", (event) => {
      // An option of the test is nothing to save.
      if (!event.target.closest("#test")) change();
    });
    form.addEventListener("submit", leave);
    // Ctrl-Enter saves from anywhere in the form.
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.querySelector(".submit .main").click();
    });
  }

  function leave(event) {
    if (event.defaultPrevented || event.submitter?.dataset.command) return;
    isLeaving = true;
    if (event.submitter?.dataset.busy) {
      event.submitter.textContent = event.submitter.dataset.busy;
      event.submitter.setAttribute("aria-busy", "true");
    }
  }

  window.addEventListener("beforeunload", (event) => {
    if (isChanged && !isLeaving) event.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", () => {
    foresee();
    guard(document.querySelector("form[data-guarded]"));
  });
})();
