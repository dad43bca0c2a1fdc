// The form works without this; with it, a photo can also be dropped or pasted, and is seen before it is sent.
const byId = (id) => document.getElementById(id);
const [input, preview, picture, problem, submit] = ["file", "preview", "picture", "problem", "submit"].map(byId);
const MAX_BYTES = 10 * 1024 * 1024;

byId("hint").hidden = false;

function show() {
  const [file] = input.files;
  const tooLarge = file && file.size > MAX_BYTES;
  problem.textContent = tooLarge ? "This photo is larger than 10 MB. Choose a smaller one." : "";
  problem.hidden = !tooLarge;
  submit.disabled = Boolean(tooLarge);
  URL.revokeObjectURL(preview.src);
  preview.hidden = true;
  picture.toggleAttribute("hidden", false);
  if (file && !tooLarge) {
    preview.src = URL.createObjectURL(file);
  }
}

function take(files) {
  if (files.length) {
    const chosen = new DataTransfer();
    chosen.items.add(files[0]);
    input.files = chosen.files;
    show();
  }
}

// Not every browser can draw every format the service reads: a preview appears once it is known to work.
preview.addEventListener("load", () => {
  preview.hidden = false;
  picture.toggleAttribute("hidden", true);
});
input.addEventListener("change", show);
// The whole page takes a drop: beside the frame, the browser would leave the page and open the photo.
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
for (const type of ["dragleave", "drop"]) {
  document.addEventListener(type, () => document.body.classList.remove("over"));
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
submit.form.addEventListener("submit", () => submit.setAttribute("aria-busy", "true"));
// Coming back with the browser's button finds the form as it was left.
window.addEventListener("pageshow", () => {
  submit.removeAttribute("aria-busy");
  show();
});
