"use strict";

// Charts say their values by pointer and by key.
function prepare(root) {
  for (const chart of root.querySelectorAll("[data-chart]")) {
    const hits = [...chart.querySelectorAll(".hit")];
    const readout = chart.querySelector(".readout");
    let at = hits.length;
    const point = (number) => {
      hits[at]?.classList.remove("at");
      at = Math.min(Math.max(number, 0), hits.length - 1);
      hits[at].classList.add("at");
      readout.textContent = hits[at].querySelector("title").textContent;
    };
    if (!hits.length) continue;
    readout.textContent = "Point at it for its values, or move along it with the arrow keys.";
    chart.tabIndex = 0;
    chart.setAttribute("role", "group");
    chart.setAttribute("aria-label", `${chart.querySelector("svg").getAttribute("aria-label")}. Arrow keys move along it.`);
    hits.forEach((hit, number) => hit.addEventListener("pointerenter", () => point(number)));
    chart.addEventListener("focus", () => point(at));
    chart.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -hits.length, End: hits.length }[key];
      if (step) point(at + step);
    });
  }
}

document.addEventListener("renewed", ({ detail }) => prepare(detail));
prepare(document);
