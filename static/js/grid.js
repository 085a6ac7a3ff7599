// The data grid by keyboard: Enter and arrows move, Escape undoes, paste fills several cells.
document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.("[data-grid] .cell");
  if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
  const move = { Enter: event.shiftKey ? -1 : 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") { cell.value = cell.defaultValue; return; }
  if (!move) return;
  event.preventDefault();
  below(cell, move)?.focus();
});

document.addEventListener("focusin", (event) => {
  if (event.target.matches?.("[data-grid] .cell")) event.target.select();
});

document.addEventListener("paste", (event) => {
  const first = event.target.closest?.("[data-grid] .cell");
  const text = event.clipboardData.getData("text/plain").replace(/\r?\n$/, "");
  if (!first || !/[\t\n]/.test(text)) return;
  event.preventDefault();
  const rows = new Set();
  let start = first;
  for (const line of text.split(/\r?\n/)) {
    let cell = start;
    for (const value of line.split("\t")) {
      if (!cell) break;
      cell.value = value;
      rows.add(cell.closest("tr"));
      cell = cell.closest("td").nextElementSibling?.querySelector(".cell");
    }
    start = start && below(start, 1);
    if (!start) break;
  }
  for (const row of rows) row.querySelector(".cell").dispatchEvent(new Event("change", { bubbles: true }));
});

function below(cell, step) {
  const place = cell.closest("td").cellIndex;
  const row = step > 0 ? cell.closest("tr").nextElementSibling : cell.closest("tr").previousElementSibling;
  return row?.cells[place]?.querySelector(".cell") ?? null;
}
