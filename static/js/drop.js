// Step 1: drop a file, see it travel. Without script the form is an ordinary one.
function prepare(form) {
  const input = form.querySelector("input[type=file]");
  const problem = form.querySelector("[data-drop-problem]");
  const box = form.querySelector("[data-drop-progress]");
  const words = form.querySelector("[data-drop-words]");
  const line = box.querySelector("progress");

  const complain = (text) => { problem.textContent = text; problem.hidden = false; };
  const size = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

  const show = (page) => {
    const fresh = new DOMParser().parseFromString(page, "text/html").querySelector("main");
    document.querySelector("main").replaceWith(document.adoptNode(fresh));
    for (const drop of document.querySelectorAll("[data-drop]")) prepare(drop);
  };

  const travel = () => {
    const file = input.files[0];
    if (!file) return;
    problem.hidden = true;
    if (file.size > Number(form.dataset.most)) {
      complain(`This file has ${size(file.size)}; at most ${form.dataset.mostWords} are taken. Split it, or zip it.`);
      input.value = "";
      return;
    }
    const call = new XMLHttpRequest();
    call.upload.addEventListener("progress", (event) => {
      line.value = 100 * event.loaded / event.total;
      words.textContent = event.loaded < event.total
        ? `${file.name}: ${size(event.loaded)} of ${size(event.total)}` : `${file.name}: looking at it…`;
      if (event.loaded === event.total) line.removeAttribute("value");
    });
    call.addEventListener("load", () => {
      if (call.status < 300) location.assign(call.responseURL);
      else show(call.responseText);
    });
    call.addEventListener("error", () => { box.hidden = true; complain("The connection broke off. Nothing was taken; try again."); });
    box.hidden = false;
    words.textContent = file.name;
    call.open("POST", form.action);
    call.send(new FormData(form));
  };

  input.addEventListener("change", travel);
  form.addEventListener("submit", (event) => { event.preventDefault(); travel(); });
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; travel(); }
  });
  // Chosen before this script was there.
  travel();
}

for (const drop of document.querySelectorAll("[data-drop]")) prepare(drop);
