"use strict";
// The form of a connection: rows of subscriptions, what a Keep Alive means, and changes that
// must not be lost by accident.

(() => {
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
    if (!event.target.closest("[data-remove-row]")) return;
    const row = event.target.closest("tr");
    const next = row.nextElementSibling || row.previousElementSibling;
    row.remove();
    change();
    (next?.querySelector("input") || document.querySelector("[data-add-row]")).focus();
  });

  // --- what a Keep Alive means, while one types it (the rules are webapp/connections/detection.py's)

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
  // Somebody quick has typed before this script came.
  if (keepAlive) showDetection();

  // --- changes that are not saved

  const form = document.querySelector("form[data-guarded]");
  const sign = form.querySelector("[data-changed]");
  let isChanged = form.dataset.dirty !== undefined;
  let isLeaving = false;

  function change() {
    isChanged = true;
    sign.hidden = false;
  }

  function isEntered(field) {
    if (field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((option) => option.selected && !option.defaultSelected && option.index);
    return field.type !== "hidden" && field.defaultValue !== undefined && field.value !== field.defaultValue;
  }

  if (isChanged || [...form.elements].some((field) => !field.closest("#test") && isEntered(field))) change();
  form.addEventListener("input", (event) => {
    // An option of the test is nothing to save.
    if (!event.target.closest("#test")) change();
  });
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.submitter?.dataset.command) return;
    isLeaving = true;
    if (event.submitter?.dataset.busy) {
      event.submitter.textContent = event.submitter.dataset.busy;
      event.submitter.setAttribute("aria-busy", "true");
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (isChanged && !isLeaving) event.preventDefault();
  });

  // Ctrl-Enter saves from anywhere in the form.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.querySelector(".submit .main").click();
  });
})();
