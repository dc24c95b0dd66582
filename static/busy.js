"use strict";
// A form whose answer takes a while says so, and cannot be sent twice.

for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const words = form.querySelector("[data-busy-words]");
    if (words) words.textContent = form.dataset.busy;
    // Not before the browser has taken what the form holds.
    setTimeout(() => {
      for (const button of form.querySelectorAll("button")) button.disabled = true;
    });
  });
}

// Back from the next page, the form can be sent again.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
