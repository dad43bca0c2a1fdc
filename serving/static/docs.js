"use strict";

// Behind TLS the service does not know how it is asked.
const { origin } = document.querySelector("[data-origin]").dataset;
for (const code of document.querySelectorAll(".command code")) code.textContent = code.textContent.replace(origin, location.origin);

// An address with an operation's name opens it.
const open = () => document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
