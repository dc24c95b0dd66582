"use strict";
// Makes an element hold what new HTML says by changing only what differs: what stays the same
// keeps its focus, its selection, its open details and the pointer that is on it.

(() => {
  function same(before, after) {
    if (before.nodeType !== after.nodeType) return false;
    if (before.nodeType !== Node.ELEMENT_NODE) return true;
    return before.nodeName === after.nodeName && key(before) === key(after);
  }

  // Links and buttons of different rows are different things, even at the same place.
  function key(element) {
    return element.id || element.getAttribute("href") || element.getAttribute("aria-label") || "";
  }

  function patchAttributes(before, after) {
    for (const { name } of [...before.attributes]) {
      // Whoever reads opened it; the focus may have been led here.
      const isReaders = name === "tabindex" || (name === "open" && before.nodeName === "DETAILS");
      if (!isReaders && !after.hasAttribute(name)) before.removeAttribute(name);
    }
    for (const { name, value } of after.attributes) {
      if (before.getAttribute(name) !== value) before.setAttribute(name, value);
    }
  }

  function patchNode(before, after) {
    if (before.isEqualNode(after)) return;
    if (before.nodeType !== Node.ELEMENT_NODE) {
      before.nodeValue = after.nodeValue;
      return;
    }
    // The text of a time is made here; a new one needs a new title.
    if (before.nodeName === "TIME" && before.getAttribute("datetime") === after.getAttribute("datetime")) return;
    patchAttributes(before, after);
    patchChildren(before, after);
  }

  function patchChildren(before, after) {
    const wanted = [...after.childNodes];
    wanted.forEach((node, index) => {
      bring(before, node.id, index);
      const there = before.childNodes[index];
      if (!there) before.append(node);
      else if (same(there, node)) patchNode(there, node);
      // What stood here may be wanted further down.
      else if (node.id && there.id) there.before(node);
      else there.replaceWith(node);
    });
    while (before.childNodes.length > wanted.length) before.lastChild.remove();
  }

  // What has an id moves with it: a new row on top must not shift what the others hold.
  function bring(parent, id, index) {
    if (!id || parent.childNodes[index]?.id === id) return;
    const known = [...parent.children].find((child) => child.id === id);
    if (known) parent.insertBefore(known, parent.childNodes[index]);
  }

  window.hawserPatch = patchChildren;
})();
