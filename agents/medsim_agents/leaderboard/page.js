"use strict";

// Sorting: press a column's head, or put #sort=column or #sort=column:descending into the address.

function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = [Number(a), Number(b)];
  if (numbers.every(Number.isFinite)) return numbers[0] - numbers[1];
  return a < b ? -1 : a > b ? 1 : 0;
}

function sortTable(head, direction) {
  const table = head.closest("table");
  const column = [...head.parentNode.children].indexOf(head);
  const value = (row) => row.children[column].dataset.value;
  const sign = direction === "descending" ? -1 : 1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => {
    const missing = value(a) === "" || value(b) === "";
    return compare(value(a), value(b)) * (missing ? 1 : sign);
  });
  table.tBodies[0].append(...rows);
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
}

function pressed(head) {
  const opposite = { ascending: "descending", descending: "ascending" };
  const now = head.getAttribute("aria-sort");
  sortTable(head, now === head.dataset.first ? opposite[now] : head.dataset.first);
}

function sortByAddress() {
  const found = /^#sort=([^:]+)(?::(ascending|descending))?$/.exec(decodeURIComponent(location.hash));
  if (!found) return;
  for (const head of document.querySelectorAll(".sortable th[data-key]")) {
    if (head.dataset.key === found[1]) sortTable(head, found[2] || head.dataset.first);
  }
}

// Copying a command

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  throw new Error("no clipboard");
}

function addCopyButton(command) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await copy(command.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(command);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  command.before(button);
}

// How wide the page came out, for the test that nothing overflows

function measure() {
  const root = document.documentElement;
  root.dataset.scrollWidth = root.scrollWidth;
  root.dataset.clientWidth = root.clientWidth;
}

for (const head of document.querySelectorAll(".sortable th[data-key]")) {
  head.querySelector("button").addEventListener("click", () => pressed(head));
}
document.querySelectorAll("pre.command").forEach(addCopyButton);
addEventListener("hashchange", sortByAddress);
addEventListener("resize", measure);
sortByAddress();
measure();
