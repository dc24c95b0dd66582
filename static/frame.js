"use strict";
// The bar at the top: the phone's menu, menus that drop down, the theme; and the way to the
// first wrong field of a refused form.

(() => {
  // --- the phone menu

  const menuButton = document.querySelector(".menu-button");
  if (menuButton) {
    const menu = document.getElementById(menuButton.getAttribute("aria-controls"));
    menuButton.hidden = false;
    menu.classList.add("folds");
    menuButton.addEventListener("click", () => {
      const open = menuButton.getAttribute("aria-expanded") !== "true";
      menuButton.setAttribute("aria-expanded", String(open));
      menu.classList.toggle("open", open);
    });
  }

  // --- menus that drop down close when one clicks elsewhere or presses Escape

  const OPEN = "details.drop[open]";

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(OPEN)) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(OPEN);
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // --- the theme: without a reload, so that no half-filled form is lost

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-switch]") || !event.submitter) return;
    event.preventDefault();
    const chosen = event.submitter.value;
    const root = document.documentElement;
    if (chosen === "auto") delete root.dataset.theme;
    else root.dataset.theme = chosen;
    document.querySelector('meta[name="color-scheme"]').content = chosen === "auto" ? "light dark" : chosen;
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === event.submitter));
    }
    const body = new FormData(form);
    body.append("theme", chosen);
    await fetch(form.action, { method: "POST", body, redirect: "manual" });
  });

  // --- after a refused save: go to the first field that is wrong

  document.querySelector('[aria-invalid="true"]')?.focus();
})();
