"use strict";
globalThis.lumen = {
  element: (name, attributes = {}) => Object.assign(document.createElement(name), attributes),

  // Two pictures on top of each other: one to the left of an edge that can be moved, the other to the right of it.
  slider(stage, name) {
    const { element } = lumen;
    const image = (attributes) => element("img", { alt: "", draggable: false, ...attributes });
    const under = image();
    const top = image({ className: "top" });
    const edge = element("div", { className: "edge" });
    const tags = { left: element("span", { className: "tag l" }), right: element("span", { className: "tag r" }) };
    const range = element("input", { type: "range", min: 0, max: 100, step: 1, value: 50 });
    let shown = { left: {}, right: {} };
    let mixed = null;
    const draw = () => {
      const cut = Number(range.value);
      stage.style.setProperty("--cut", `${cut}%`);
      tags.left.hidden = cut < 12;
      tags.right.hidden = cut > 88;
      range.setAttribute("aria-label", `${name}: ${shown.left.title} on the left, ${shown.right.title} on the right`);
      range.setAttribute("aria-valuetext", `${cut} % ${shown.left.title}`);
    };
    range.addEventListener("input", draw);
    stage.append(under, top, edge, tags.left, tags.right, range);
    return {
      // Each side has a src and a title; the right one may be mixed with the picture `over`, by its weight.
      show(left, right) {
        if (left.src !== shown.left.src) top.src = left.src;
        if (right.src !== shown.right.src) under.src = right.src;
        if (right.over && !mixed) under.after((mixed = image()));
        if (mixed) {
          mixed.hidden = !right.over;
          if (right.over && mixed.over !== right.over) mixed.src = mixed.over = right.over;
          mixed.style.opacity = right.weight ?? 0;
        }
        shown = { left, right };
        tags.left.textContent = left.title;
        tags.right.textContent = right.title;
        draw();
      },
      flip() {
        range.value = Number(range.value) < 50 ? 100 : 0;
        draw();
      },
    };
  },

  size(stage, width, height) {
    stage.style.setProperty("--w", width);
    stage.style.setProperty("--h", height);
  },
};
