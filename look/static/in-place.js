"use strict";

// A form within data-in-place is answered there: its place is taken by that of the page it would have led to.
const say = (place, text) => {
  const alert = place.querySelector("[role=alert]") ?? place.appendChild(document.createElement("p"));
  alert.setAttribute("role", "alert");
  alert.textContent = text;
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const place = form.closest("[data-in-place]");
  if (!place) return;
  event.preventDefault();
  if (place.ariaBusy === "true") return;
  place.ariaBusy = "true";
  const body = new URLSearchParams(new FormData(form, event.submitter));
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-in-place]");
    if (fresh) {
      place.replaceWith(fresh);
      fresh.focus();
      return;
    }
    say(place, page.querySelector("[role=alert]")?.textContent ?? "That did not work. Try again in a moment.");
  } catch {
    say(place, "Nothing was sent: there is no connection. Try again in a moment.");
  }
  place.ariaBusy = "false";
});
