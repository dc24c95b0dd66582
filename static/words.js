"use strict";
// The texts of the other scripts in the language of the page. They are written in English; a page
// in another language loads words/LANGUAGE.js after this file, which brings their translations.

window.hawserWords = (() => {
  let texts = {};
  let formOf = (number) => Number(number !== 1);

  function filled(pattern, values) {
    return pattern.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
  }

  // t("Updated {seconds} s ago", { seconds }): a text with its {names} filled in.
  function t(text, values = {}) {
    return filled(texts[text] || text, values);
  }

  // n("{number} row", "{number} rows", number): the form that goes with the number.
  function n(one, many, number, values = {}) {
    const forms = texts[one] || [one, many];
    return filled(forms[formOf(number)] || many, { number: number.toLocaleString(language()), ...values });
  }

  // Numbers and times are written as the language of the page does.
  function language() {
    return document.documentElement.lang || "en";
  }

  function learn(translated, form) {
    texts = translated;
    formOf = form;
  }

  return { t, n, learn, language };
})();
