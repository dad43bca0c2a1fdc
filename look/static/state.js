"use strict";

// How the experiment stands, in a word beside its link; nothing where it is away.
const state = document.getElementById("state");
fetch("/experiment/state.json")
  .then((answer) => (answer.ok ? answer.json() : {}))
  .then(({ state: word }) => {
    state.textContent = word ?? "";
    state.hidden = !word;
    state.dataset.state = word ?? "";
  })
  .catch(() => {});
