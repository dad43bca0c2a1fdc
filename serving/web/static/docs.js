"use strict";

// Behind TLS the service does not know how it is asked.
const { host } = document.querySelector("[data-host]").dataset;
for (const code of document.querySelectorAll(".command code")) code.textContent = code.textContent.replace(host, location.origin);

// An address with an operation's name opens it.
const open = () => document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
