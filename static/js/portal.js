// Comforts of every page. Everything works without them.

// The look: light, dark, or as the system; kept in a cookie, so that the server sets it on the next page.
const LOOKS = { light: "light", dark: "dark", system: "as the system" };
const NEXT = { light: "dark", dark: "system", system: "light" };

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.matches("[data-theme-switch]")) return;
  event.preventDefault();
  const look = button.value;
  if (look === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = look;
  document.cookie = `theme=${look}; path=/; max-age=31536000; samesite=lax`;
  for (const other of document.querySelectorAll("[data-theme-switch]")) {
    other.value = NEXT[look];
    other.querySelector("[data-theme-word]").textContent = LOOKS[look];
  }
});

// `/` goes to the search field, Escape leaves it.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  }
  if (event.key === "Escape" && typing?.type === "search") typing.blur();
  if (event.key === "Escape") document.querySelector("details.menu[open]")?.removeAttribute("open");
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
});

// One click makes one act: a form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-disabled", "true");
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("[aria-disabled]")?.removeAttribute("aria-disabled");
  }
});

// Copy buttons.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
  await navigator.clipboard.writeText(text);
  toast("Copied.", "good");
});

// Filters apply as soon as they change.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-apply] select, [data-apply] input[type=date]")) event.target.form.requestSubmit();
});

function toast(words, tone = "wait") {
  const box = document.createElement("div");
  box.className = "toast";
  box.dataset.tone = tone;
  box.textContent = words;
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 5000);
}
