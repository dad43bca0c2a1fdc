"use strict";

// One key a photo; the buttons do the same without this script.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.target.matches("input")) return;
  document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click();
});
