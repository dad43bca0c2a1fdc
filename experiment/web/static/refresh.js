"use strict";

// Every part of the page that has changed is put in place of the old one. What a reader has scrolled to, marked, opened
// or reached by key stays, and what changed of the verdict is said, politely.
const news = document.getElementById("news");
const gist = (page) => `${page.querySelector("h1").textContent}. ${page.querySelector("#numbers li:nth-child(3)")?.textContent ?? ""}`;
const seen = new Map();
const focusable = "a, button, summary, [tabindex]";

function replace(old, fresh) {
  const [before, now] = [seen.get(old.id), fresh.outerHTML];
  seen.set(old.id, now);
  if (before === now) return;
  const at = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
  const open = [...old.querySelectorAll("details[open]")].map((each) => each.id);
  for (const id of open) fresh.querySelector(`#${id}`)?.setAttribute("open", "");
  old.replaceWith(fresh);
  if (at >= 0) fresh.querySelectorAll(focusable)[at]?.focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("renewed", { detail: fresh }));
}

async function renew() {
  if (document.hidden || String(getSelection())) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
    if (answer.redirected) location.reload(); // to the form to log in: the session has ended
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const report = page.querySelector(".report");
    const [before, now] = [gist(document), gist(page)];
    const ids = (root) => [...root.querySelectorAll(":scope > [id], .cards .card")].map((each) => each.id);
    const here = document.querySelector(".report");
    if (String(ids(here)) === String(ids(report))) {
      for (const id of ids(here)) replace(document.getElementById(id), report.querySelector(`#${id}`));
    } else {
      replace(here, report); // a card came or went
    }
    document.title = page.title;
    if (before !== now) news.textContent = now;
  } catch {
    // The service is away for a moment; the page stays as it was.
  }
}

setInterval(renew, 2000);
