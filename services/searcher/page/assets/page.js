"use strict";
document.body.classList.add("live");

// Tables: a click on a head sorts by that column; numbers by value, and what has none comes last.
const key = (row, column) => {
  const cell = row.cells[column];
  if (!("v" in cell.dataset)) return cell.textContent.trim();
  return cell.dataset.v === "" ? null : Number(cell.dataset.v);
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const body = table.tBodies[0];
      const rows = [...body.rows];
      const numeric = rows.some((row) => typeof key(row, column) === "number");
      const before = head.getAttribute("aria-sort");
      const up = before ? before !== "ascending" : !numeric;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = rows.map((row) => [key(row, column), row]);
      keyed.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;
        return up ? order : -order;
      });
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
for (const input of document.querySelectorAll(".filter input")) {
  const rows = input.closest("section").querySelector("table.trials").tBodies[0].rows;
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toUpperCase();
    for (const row of rows) row.hidden = !row.cells[1].textContent.toUpperCase().includes(wanted);
  });
}

// Points: what one is, beside the pointer or finger; a click finds it in the other charts and the table.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll("svg title")) {
  title.parentNode.dataset.t = title.textContent;
  title.remove(); // else the browser shows it, too
}
document.addEventListener("pointerover", (event) => {
  const text = event.target.dataset && event.target.dataset.t;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const at = event.target.getBoundingClientRect();
  const left = Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left) + scrollX}px`;
  tip.style.top = `${at.top + scrollY - tip.offsetHeight - 8}px`;
});
document.addEventListener("click", (event) => {
  const number = event.target.dataset && event.target.dataset.n;
  for (const old of document.querySelectorAll(".on")) old.classList.remove("on");
  const section = event.target.closest("section.study");
  if (number === undefined || !section) return;
  for (const same of section.querySelectorAll(`[data-n="${number}"]`)) same.classList.add("on");
  const row = document.getElementById(`${section.id}t${number}`);
  if (!row) return;
  row.classList.add("on");
  const box = row.closest(".tall");
  box.scrollTop = row.offsetTop - box.clientHeight / 2;
});

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
