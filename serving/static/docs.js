"use strict";

SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", presets: [SwaggerUIBundle.presets.apis], deepLinking: true });

// The library has a dark look, by a class.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
