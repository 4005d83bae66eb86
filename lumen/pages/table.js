"use strict";
(() => {
  const table = document.getElementById("table");
  if (!table) return;
  const body = table.tBodies[0];
  const cards = document.getElementById("cards");
  const cardOf = new Map([...cards.children].map((card) => [card.dataset.id, card]));

  // The table and the pictures below it share one order.
  const buttons = [...table.querySelectorAll("thead button")];
  const sortBy = (button) => {
    const head = button.closest("th");
    const column = head.cellIndex;
    const worstFirst = button.dataset.better === "lower" && column > 0 ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort");
    const order = now === null ? worstFirst : now === "ascending" ? "descending" : "ascending";
    const value = (row) => row.cells[column].dataset.v;
    const compare = column === 0
      ? (a, b) => value(a).localeCompare(value(b), undefined, { numeric: true })
      : (a, b) => Number(value(a)) - Number(value(b)) || 0;
    const rows = [...body.rows];
    const known = rows.filter((row) => value(row) !== "");
    known.sort((a, b) => (order === "ascending" ? compare(a, b) : compare(b, a)));
    const sorted = [...known, ...rows.filter((row) => value(row) === "")];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    body.append(...sorted);
    cards.append(...sorted.map((row) => cardOf.get(row.dataset.id)));
  };
  for (const button of buttons) button.addEventListener("click", () => sortBy(button));

  const count = document.getElementById("count");
  document.getElementById("find").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    let shown = 0;
    for (const row of body.rows) {
      const card = cardOf.get(row.dataset.id);
      const hidden = !card.dataset.name.toLowerCase().includes(wanted);
      row.hidden = card.hidden = hidden;
      shown += hidden ? 0 : 1;
    }
    count.textContent = wanted ? `${shown} of ${body.rows.length}` : "";
  });

  const { element } = lumen;
  for (const stage of cards.querySelectorAll(".stage")) lumen.size(stage, stage.dataset.width, stage.dataset.height);

  // A picture is decoded when it comes near the visible part.
  const fill = (card) => {
    const stage = card.querySelector(".stage");
    if (!stage || stage.firstChild) return;
    const data = JSON.parse(card.querySelector("script").textContent);
    const side = { left: data.left, right: data.right };
    const slider = lumen.slider(stage, card.dataset.name);
    const shot = (which) => ({ src: data.shots[side[which]], title: data.titles[side[which]] });
    const show = () => slider.show(shot("left"), shot("right"));
    const names = Object.keys(data.shots);
    const sides = element("div", { className: names.length > 5 ? "sides many" : "sides" });
    for (const which of ["left", "right"]) {
      if (names.length > 5) {
        const select = element("select", {});
        select.append(...names.map((name) => element("option", { value: name, textContent: data.titles[name] })));
        select.value = side[which];
        select.addEventListener("change", () => { side[which] = select.value; show(); });
        const label = element("label", { textContent: which === "left" ? "Left" : "Right" });
        label.append(select);
        sides.append(label);
        continue;
      }
      const group = element("fieldset", {});
      group.append(element("legend", { textContent: which === "left" ? "Left" : "Right" }));
      for (const name of names) {
        const label = element("label", {});
        const radio = element("input", {
          type: "radio", name: `${which}-${card.dataset.id}`, value: name, checked: side[which] === name,
        });
        radio.addEventListener("change", () => { side[which] = name; show(); });
        label.append(radio, data.titles[name]);
        group.append(label);
      }
      sides.append(group);
    }
    stage.after(sides);
    show();
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      fill(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const card of cards.children) near.observe(card);
  // Paper shows all of them.
  addEventListener("beforeprint", () => { for (const card of cards.children) if (!card.hidden) fill(card); });

  body.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    const card = cardOf.get(link.closest("tr").dataset.id);
    event.preventDefault();
    fill(card);
    location.hash = link.hash; // moves the focus, so the slider is focused after it
    card.querySelector(".stage input")?.focus({ preventScroll: true });
  });
})();
