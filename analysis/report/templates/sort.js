"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numeric = head.classList.contains("n");
    const key = (row) => {
      const cell = row.children[head.cellIndex];
      if (!numeric) return cell.dataset.key ?? cell.textContent;
      return cell.dataset.key === undefined ? NaN : Number(cell.dataset.key);
    };
    const order = (a, b) => {
      const x = key(a), y = key(b);
      if (!numeric) return x.localeCompare(y, "en", { numeric: true }) * (down ? -1 : 1);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return (x - y) * (down ? -1 : 1);
    };
    body.append(...[...body.rows].sort(order));
  });
}
