// The page is whole without this script. It opens the block that a link or a printer asks for, and
// picks the row of the table of combinations that the choices above it name, with its curves.
(() => {
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    for (const own of target.children) if (own.tagName === "DETAILS") own.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) reveal();
  });
  if (location.hash) reveal();

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("section > details:not([open])")];
    opened.forEach((block) => { block.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((block) => { block.open = false; }));

  for (const box of document.querySelectorAll(".lookup")) {
    const table = box.parentElement.querySelector("table[data-choices]");
    const selects = [...box.querySelectorAll("select")], found = box.querySelector(".found");
    const drawn = box.querySelector(".drawn");
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    const show = () => {
      const wanted = selects.map((select) => select.value);
      const row = [...table.tBodies[0].rows].find(
        (one) => wanted.every((value, i) => one.cells[i].textContent === value));
      const small = row && row.querySelector(".mini");
      if (drawn) {
        drawn.replaceChildren(...(small ? small.cloneNode(true).childNodes : []));
        drawn.closest("figure").hidden = !small;
      }
      found.textContent = row
        ? [...row.cells].slice(selects.length).map(
          (cell, i) => heads[selects.length + i] + ": " + (cell.textContent
            || small.getAttribute("aria-label"))).join(". ") + "."
        : "Nobody in the study is like this; nothing is said of such a combination.";
    };
    selects.forEach((select) => select.addEventListener("change", show));
    box.hidden = false;
    show();
  }
})();
