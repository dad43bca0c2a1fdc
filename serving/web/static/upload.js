"use strict";

// The form works without this; with it, a photo can also be dropped, pasted or taken, is seen before it is sent, and is
// made smaller where it is too large.
const byId = (id) => document.getElementById(id);
const [input, preview, picture, problem, submit, what] = ["file", "preview", "picture", "problem", "submit", "what"].map(byId);
const asked = what.innerHTML;
const MAX_BYTES = 10 * 1024 * 1024;
const MAX_SIDE = 4096;
const NAMES = /\.(jpe?g|png|webp|gif|bmp|tiff?|hei[cf]|avif)$/i;

document.body.classList.add("scripted");
byId("hint").hidden = false;

const hint = () => {
  what.innerHTML = asked;
  byId("hint").hidden = false;
};

function refuse(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
  submit.disabled = Boolean(sentence);
}

const isPhoto = (file) => (file.type ? file.type.startsWith("image/") && file.type !== "image/svg+xml" : NAMES.test(file.name));

// The photo in fewer pixels; null where this browser cannot read it.
async function smaller(file) {
  try {
    const photo = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, MAX_SIDE / Math.max(photo.width, photo.height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [photo.width, photo.height].map((side) => Math.max(1, Math.round(scale * side)));
    canvas.getContext("2d").drawImage(photo, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
    return blob && blob.size <= MAX_BYTES ? new File([blob], `${file.name.replace(/\.\w+$/, "")}.jpg`, { type: "image/jpeg" }) : null;
  } catch {
    return null;
  }
}

function put(file) {
  const chosen = new DataTransfer();
  chosen.items.add(file);
  input.files = chosen.files;
}

async function show() {
  const [file] = input.files;
  URL.revokeObjectURL(preview.src);
  preview.hidden = true;
  picture.toggleAttribute("hidden", false);
  refuse("");
  if (!file) {
    hint();
    return;
  }
  what.textContent = file.name;
  if (!isPhoto(file)) {
    refuse(`${file.name} is not a photo. Choose a JPEG, PNG, WebP, HEIC or another kind of picture.`);
    return;
  }
  if (file.size > MAX_BYTES) {
    submit.disabled = true;
    what.textContent = "Making the photo smaller …";
    const made = await smaller(file);
    if (input.files[0] !== file) return; // another one was chosen meanwhile
    if (!made) {
      what.textContent = file.name;
      refuse("This photo is larger than 10 MB, and this browser cannot make it smaller. Choose a smaller one.");
      return;
    }
    put(made);
    what.textContent = `${made.name}, made smaller: ${(made.size / 2 ** 20).toFixed(1)} MB`;
    submit.disabled = false;
  }
  preview.src = URL.createObjectURL(input.files[0]);
}

function take(files) {
  if (files.length) {
    put(files[0]);
    show();
  }
}

// What is dragged from another tab comes as an address.
async function fetchDropped(transfer) {
  const address = transfer.getData("text/uri-list").split("\n").find((line) => line && !line.startsWith("#"));
  if (!address) return;
  const url = new URL(address, location.href);
  if (url.origin !== location.origin) {
    refuse("A picture on another site cannot be fetched from here. Save it, or copy the picture itself and paste it here.");
    return;
  }
  try {
    const answer = await fetch(url);
    const blob = await answer.blob();
    if (!answer.ok) throw new Error(answer.statusText);
    take([new File([blob], decodeURIComponent(url.pathname.split("/").pop()) || "photo", { type: blob.type })]);
  } catch {
    refuse("That picture could not be fetched. Save it, and choose the file.");
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
  if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  else fetchDropped(event.dataTransfer);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));

// A phone's camera, past the choice of a file.
byId("camera").addEventListener("click", () => {
  const camera = Object.assign(document.createElement("input"), { type: "file", accept: "image/*" });
  camera.setAttribute("capture", "environment");
  camera.addEventListener("change", () => take(camera.files));
  camera.click();
});

for (const form of document.forms) {
  form.addEventListener("submit", () => form.setAttribute("aria-busy", "true"));
}
// Coming back with the browser's button finds the form as it was left.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) form.removeAttribute("aria-busy");
  show();
});
