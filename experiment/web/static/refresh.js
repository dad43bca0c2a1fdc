"use strict";

// The page as it is now, put in place of the old one; what a reader has scrolled to or marked stays.
const renew = async () => {
  if (document.hidden || String(getSelection())) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.redirected) location.reload(); // to the form to log in: the session has ended
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(fresh.querySelector("main"));
    document.title = fresh.title;
  } catch {
    // The service is away for a moment; the page stays as it was.
  }
};

setInterval(renew, 2000);
