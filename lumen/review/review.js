"use strict";
(() => {
  const { element } = lumen;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { pictures } = data;
  const at = (id) => document.getElementById(id);
  const [cards, more, less, sort, show, find] = ["cards", "more", "less", "sort", "show", "find"].map(at);
  const CHUNK = 24, NEAR = "900px", EV = 4, SHADOWS = 2, SIMILAR = 12, UNDOS = 50;
  const steps = { ev: 0.5, shadows: 0.25 };

  // What was chosen and marked stays in this browser, by the folder of the results.
  const store = `lumen-review-${data.key}`;
  const state = { choices: {}, stars: {}, rejects: {} };
  try { Object.assign(state, JSON.parse(localStorage.getItem(store))); } catch { /* a private window */ }
  const undos = [];
  const selected = new Set();
  const save = () => { try { localStorage.setItem(store, JSON.stringify(state)); } catch { /* nothing is kept */ } };
  const remember = () => {
    undos.push(JSON.stringify(state.choices));
    if (undos.length > UNDOS) undos.shift();
  };

  const same = (a, b) => a.ev === b.ev && a.shadows === b.shadows;
  const chosen = (picture) => state.choices[picture.id] ?? picture.made;
  const choose = (picture, { ev, shadows }) => {
    const round = (value, step) => Math.round(value / step) * step;
    const made = picture.made;
    const wanted = {
      ev: ev === made.ev ? ev : Math.min(EV, Math.max(-EV, round(ev, 0.01))),
      shadows: !data.shadows || shadows === made.shadows ? made.shadows : Math.min(SHADOWS, Math.max(0, round(shadows, 0.01))),
    };
    if (same(wanted, made)) delete state.choices[picture.id];
    else state.choices[picture.id] = { ev: +wanted.ev.toFixed(2), shadows: +wanted.shadows.toFixed(2) };
  };
  for (const picture of pictures) if (state.choices[picture.id]) choose(picture, state.choices[picture.id]);

  // Words
  const signed = (value) => (value > 0 ? `+${value}` : `${value}`.replace("-", "−"));
  const percent = (value) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;
  const unpacked = (text) => [...atob(text)].map((character) => character.charCodeAt(0));
  const told = (made, values) => {
    const parts = [];
    if (values.ev !== made.ev || values.shadows === made.shadows) parts.push(`exposure ${signed(values.ev)}`);
    if (values.shadows !== made.shadows) parts.push(`shadows ×${values.shadows}`);
    return parts.join(", ");
  };
  const say = (text) => { at("said").textContent = text; };
  const many = (number) => (number === 1 ? "1 picture" : `${number} pictures`);

  // Previews: inside the page, or files beside it.
  const url = (picture, name) => {
    if (name === "after" && !("after" in picture.shots)) name = "before";
    if (data.beside !== null) return `${data.beside}${picture.id}.${name}.preview.jpg`;
    picture.urls ??= JSON.parse(at(`shots-${picture.id}`).textContent);
    return picture.urls[name];
  };
  const sides = (picture) => {
    const { made, variants } = picture;
    const now = chosen(picture);
    const after = url(picture, "after");
    const left = { src: url(picture, "before"), title: "before" };
    if (same(now, made)) return [left, { src: after, title: picture.fine ? "after: it was fine" : "after" }];
    const previews = variants.map((each) => ({ shows: each, what: told(made, each), src: url(picture, each.name) }));
    for (const [what, other] of [["ev", "shadows"], ["shadows", "ev"]]) { // mixtures, for steps in between
      const share = (each) => (now[what] - made[what]) / (each[what] - made[what]);
      const between = variants.find((each) => each[other] === made[other] && share(each) > 0 && share(each) < 1);
      const shows = { ...made, [what]: now[what] };
      if (between) previews.push({ shows, what: `about ${told(made, shows)}`, src: after, over: url(picture, between.name), weight: share(between) });
    }
    if (!previews.length) return [left, { src: after, title: `no preview of ${told(made, now)}` }];
    previews.push({ shows: made, what: "as made", src: after });
    const far = ({ shows }) => Math.abs(shows.ev - now.ev) + Math.abs(shows.shadows - now.shadows);
    const nearest = previews.sort((a, b) => far(a) - far(b))[0];
    return [left, { ...nearest, title: far(nearest) ? `nearest preview: ${nearest.what}` : nearest.what }];
  };

  // Cards are made in the order of the page, and their pictures shown, when they come near the visible part.
  let order = [];
  const live = new Map(); // cards by picture
  const button = (text, label, act, attributes = {}) => {
    const found = element("button", { type: "button", textContent: text, ...attributes });
    if (label) found.setAttribute("aria-label", label);
    found.addEventListener("click", act);
    return found;
  };
  const dial = (picture, what, title, refresh) => {
    const value = element("output", {});
    const step = (sign) => () => turn(picture, what, sign);
    const group = element("div", { className: "dial" });
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", title);
    group.append(element("span", { textContent: title }), button("−", `Less ${what === "ev" ? "exposure" : "shadows"}`, step(-1)),
      value, button("+", `More ${what === "ev" ? "exposure" : "shadows"}`, step(1)));
    refresh.push(() => { value.textContent = what === "ev" ? signed(chosen(picture).ev) : `×${chosen(picture).shadows}`; });
    return group;
  };
  const turn = (picture, what, sign) => {
    if (what === "shadows" && !data.shadows) return say("The model of these results has no shadows to set.");
    remember();
    const now = chosen(picture);
    choose(picture, { ...now, [what]: now[what] + sign * steps[what] });
    changed([picture]);
    say(`${picture.name}: ${told(picture.made, chosen(picture))}`);
  };
  const pick = (picture, values) => {
    remember();
    choose(picture, values);
    changed([picture]);
  };
  const strip = (picture, refresh) => {
    const box = element("div", { className: "strip" });
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Variants");
    for (const each of [{ name: "after", ...picture.made }, ...picture.variants]) {
      const title = each.name === "after" ? "as made" : told(picture.made, each);
      const choice = button("", "", () => pick(picture, each));
      choice.append(element("img", { src: url(picture, each.name), alt: "", loading: "lazy" }), element("span", { textContent: title }));
      box.append(choice);
      refresh.push(() => choice.setAttribute("aria-pressed", same(chosen(picture), each)));
    }
    return box;
  };
  const mark = (picture, key, on, off, refresh, className) => {
    const toggle = button("", "", () => flag(picture, key), { className });
    refresh.push(() => {
      const is = Boolean(state[key][picture.id]);
      toggle.textContent = is ? on : off;
      toggle.setAttribute("aria-pressed", is);
    });
    return toggle;
  };
  const flag = (picture, key) => {
    if (state[key][picture.id]) delete state[key][picture.id];
    else {
      state[key][picture.id] = 1;
      delete state[key === "stars" ? "rejects" : "stars"][picture.id];
    }
    changed([picture]);
  };
  const select = (picture, on = !selected.has(picture)) => {
    if (on) selected.add(picture); else selected.delete(picture);
    changed([picture]);
  };
  const made = (picture) => {
    const card = element("article", { className: "card", tabIndex: -1, id: `p-${picture.id}` });
    card.picture = picture;
    card.refresh = [];
    const title = element("h3", { id: `t-${picture.id}`, textContent: picture.name });
    title.append(element("small", { textContent: ` ${picture.width}×${picture.height}` }));
    card.setAttribute("aria-labelledby", title.id);
    const facts = [`brightness ${percent(picture.dark)} → ${percent(picture.light)}`];
    if (picture.fine) facts.push("left as it was");
    if (picture.seconds) facts.push(`${picture.seconds.toFixed(1)} s`);
    if (!same(picture.made, data.usual)) facts.push(`made with exposure ${signed(picture.made.ev)}, shadows ×${picture.made.shadows}`);
    const stage = element("div", { className: "stage" });
    lumen.size(stage, picture.width, picture.height);
    card.append(title, element("p", { className: "facts", textContent: facts.join("; ") }), stage);
    live.set(picture, card);
    near.observe(card);
    return card;
  };
  const fill = (card) => {
    const { picture, refresh } = card;
    if (card.slider) return;
    card.slider = lumen.slider(card.querySelector(".stage"), picture.name);
    refresh.push(() => card.slider.show(...sides(picture)));
    const marks = element("div", { className: "marks" });
    const tick = element("input", { type: "checkbox" });
    tick.addEventListener("change", () => select(picture, tick.checked));
    refresh.push(() => {
      tick.checked = selected.has(picture);
      card.classList.toggle("rejected", Boolean(state.rejects[picture.id]));
      card.classList.toggle("chosen", picture.id in state.choices);
    });
    const label = element("label", {});
    label.append(tick, "Select");
    marks.append(mark(picture, "stars", "★ Starred", "☆ Star", refresh, "star"),
      mark(picture, "rejects", "✕ Rejected", "✕ Reject", refresh, "reject"), label,
      button("1:1", `Look at ${picture.name} at 1:1`, () => zoom(picture)));
    const dials = element("div", { className: "dials" });
    dials.append(dial(picture, "ev", "Exposure", refresh));
    if (data.shadows) dials.append(dial(picture, "shadows", "Shadows", refresh));
    if (!picture.variants.length) { // those begin with "as made"
      const reset = button("As made", "", () => pick(picture, picture.made));
      refresh.push(() => { reset.hidden = !(picture.id in state.choices); });
      marks.append(reset);
    }
    card.append(dials, marks);
    if (picture.variants.length) dials.before(strip(picture, refresh));
    if (picture.warnings.length) {
      const list = element("ul", { className: "warnings" });
      list.append(...picture.warnings.map((text) => element("li", { textContent: text })));
      card.append(list);
    }
    refresh.push(() => histogram(card));
    for (const each of refresh) each();
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      fill(entry.target);
    }
  }, { rootMargin: NEAR });
  // The cards are those of `order` from `start` on.
  let start = 0;
  const card = (picture) => live.get(picture) ?? made(picture);
  const end = () => start + cards.children.length;
  const grow = () => {
    cards.append(...order.slice(end(), end() + CHUNK).map(card));
    more.hidden = end() >= order.length;
  };
  const growUp = () => {
    const from = Math.max(0, start - CHUNK);
    cards.prepend(...order.slice(from, start).map(card));
    start = from;
    less.hidden = !start;
  };
  const begin = (place) => {
    start = place;
    cards.replaceChildren();
    less.hidden = !start;
    grow();
  };
  for (const [edge, act] of [[more, grow], [less, growUp]]) {
    new IntersectionObserver((entries) => { if (entries.some((each) => each.isIntersecting)) act(); }, { rootMargin: NEAR }).observe(edge);
  }

  // Which pictures, in which order
  const by = {
    name: null,
    dark: (picture) => picture.dark,
    change: (picture) => -picture.change,
    least: (picture) => picture.change,
    warnings: (picture) => -picture.warnings.length,
    stars: (picture) => (state.stars[picture.id] ? 0 : state.rejects[picture.id] ? 2 : 1),
    seconds: (picture) => -picture.seconds,
  };
  const kinds = {
    all: () => true,
    fine: (picture) => picture.fine,
    stars: (picture) => state.stars[picture.id],
    kept: (picture) => !state.rejects[picture.id],
    chosen: (picture) => picture.id in state.choices,
    warnings: (picture) => picture.warnings.length,
    selected: (picture) => selected.has(picture),
  };
  const arrange = () => {
    const wanted = find.value.trim().toLowerCase();
    order = pictures.filter((picture) => picture.name.toLowerCase().includes(wanted) && kinds[show.value](picture));
    const rank = by[sort.value];
    if (rank) order.sort((a, b) => rank(a) - rank(b));
    begin(0);
    at("count").textContent = order.length === pictures.length ? "" : `${order.length} of ${pictures.length}`;
  };
  for (const control of [sort, show, find]) control.addEventListener("input", arrange);

  const changed = (which) => {
    for (const picture of which) for (const each of live.get(picture)?.refresh ?? []) each();
    save();
    tray();
  };
  const tray = () => {
    const number = pictures.filter((picture) => picture.id in state.choices).length;
    at("chosen").textContent = `${many(number)} with new settings, ${selected.size} selected`;
    at("download").disabled = !number;
    at("clear").disabled = !number;
    at("undo").disabled = !undos.length;
    at("to-selected").disabled = !selected.size;
  };

  // Histogram and clipping
  const toggles = { histogram: false, clipping: false };
  const toggle = (name) => {
    toggles[name] = !toggles[name];
    at(name).setAttribute("aria-pressed", toggles[name]);
    document.body.classList.toggle(name, toggles[name]);
    at(`${name}-legend`).hidden = !toggles[name];
    if (name === "histogram") for (const card of live.values()) if (card.slider) histogram(card);
  };
  const histogram = (card) => {
    let canvas = card.querySelector("canvas");
    if (!toggles.histogram) return canvas?.remove();
    const [before, after] = card.picture.histogram.map(unpacked).map((bins) => [0, 1, 2].map((channel) =>
      bins.slice(channel * bins.length / 3, (channel + 1) * bins.length / 3))); // square roots of shares
    canvas ??= element("canvas", { width: 512, height: 120, className: "histogram" });
    canvas.setAttribute("role", "img");
    const end = (side, bin) => 100 * (Math.max(...side.map((channel) => channel.at(bin))) / 255) ** 2;
    canvas.setAttribute("aria-label", `Histogram after: ${end(after, 0).toFixed(1)} % darkest, ${end(after, -1).toFixed(1)} % brightest`);
    card.querySelector(".stage").after(canvas);
    const pen = canvas.getContext("2d");
    const ink = getComputedStyle(document.body);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const top = Math.max(62, ...[...before, ...after].flatMap((channel) => channel.slice(1, -1)));
    const line = (values, color, filled) => {
      pen.beginPath();
      if (filled) pen.moveTo(0, canvas.height);
      values.forEach((value, bin) => pen.lineTo((bin + 0.5) * canvas.width / values.length,
        canvas.height * (1 - Math.min(1, value / top))));
      if (filled) { pen.lineTo(canvas.width, canvas.height); pen.closePath(); }
      pen.lineWidth = 3;
      if (filled) { pen.fillStyle = color; pen.globalAlpha = 0.35; pen.fill(); pen.globalAlpha = 1; } else { pen.strokeStyle = color; pen.stroke(); }
    };
    const mean = before[0].map((_, bin) => (before[0][bin] + before[1][bin] + before[2][bin]) / 3);
    line(mean, ink.getPropertyValue("--soft"), true);
    after.forEach((channel, index) => line(channel, ["#e0453a", "#3c9a4c", "#3f7fe0"][index]));
  };

  // 1:1, in pixels of the files where the browser can show them
  const dialog = at("zoom");
  const pane = at("pane");
  const [under, over] = ["zoom-before", "zoom-after"].map(at);
  let zoomed = null;
  const zoom = (picture) => {
    zoomed = picture;
    const ratio = devicePixelRatio || 1;
    const files = { before: [under, picture.before], after: [over, picture.after ?? picture.before] };
    at("zoom-title").textContent = picture.name;
    for (const step of [-1, 1]) at(step < 0 ? "zoom-back" : "zoom-on").disabled = !order[order.indexOf(picture) + step];
    rate();
    for (const [name, [image, link]] of Object.entries(files)) {
      image.src = url(picture, name);
      image.width = Math.round(picture.width / ratio);
      image.height = Math.round(picture.height / ratio);
      const anchor = at(`link-${name}`);
      anchor.hidden = !link;
      anchor.href = link ?? "";
      anchor.textContent = name === "before" ? "Original file" : "Result file";
    }
    const kind = picture.shots["after" in picture.shots ? "after" : "before"];
    const small = kind[0] < picture.width;
    at("zoom-what").textContent = small ? `A preview of ${kind[0]}×${kind[1]} pixels, enlarged to ${picture.width}×${picture.height}.`
      : `${picture.width}×${picture.height} pixels at 1:1, compressed for this page.`;
    sharpen(picture, files);
    flip(true);
    if (!dialog.open) dialog.showModal();
    pane.focus();
    pane.scrollTo((pane.scrollWidth - pane.clientWidth) / 2, (pane.scrollHeight - pane.clientHeight) / 2);
  };
  const sharpen = async (picture, files) => {
    const load = ([, link]) => new Promise((done) => {
      const image = element("img", {});
      image.onload = () => done(image.naturalWidth === picture.width && image.naturalHeight === picture.height);
      image.onerror = () => done(false);
      image.src = link;
    });
    if (!Object.values(files).every(([, link]) => link && /\.(avif|bmp|gif|jpe?g|jpe|jfif|png|webp)$/i.test(link))) return;
    const are = await Promise.all(Object.values(files).map(load));
    if (zoomed !== picture || !are.every(Boolean)) return;
    for (const [image, link] of Object.values(files)) image.src = link;
    at("zoom-what").textContent = `${picture.width}×${picture.height} pixels at 1:1, from the files themselves.`;
  };
  const flip = (after = over.hidden) => {
    over.hidden = !after;
    at("zoom-tag").textContent = after ? "after" : "before";
    at("zoom-side").textContent = after ? "Show before" : "Show after";
  };
  const rate = (key) => {
    if (key) flag(zoomed, key);
    for (const each of ["stars", "rejects"]) at(`zoom-${each}`).setAttribute("aria-pressed", Boolean(state[each][zoomed.id]));
  };
  at("zoom-side").addEventListener("click", () => flip());
  at("zoom-close").addEventListener("click", () => dialog.close());
  for (const key of ["stars", "rejects"]) at(`zoom-${key}`).addEventListener("click", () => rate(key));
  const beside = (step) => {
    const next = order[order.indexOf(zoomed) + step];
    if (next) zoom(next);
  };
  at("zoom-back").addEventListener("click", () => beside(-1));
  at("zoom-on").addEventListener("click", () => beside(1));
  pane.addEventListener("pointermove", (event) => { // a mouse drags the picture; fingers scroll by themselves
    if (event.pointerType === "mouse" && event.buttons === 1) pane.scrollBy({ left: -event.movementX, top: -event.movementY, behavior: "instant" });
  });
  dialog.addEventListener("keydown", (event) => {
    const act = {
      " ": () => flip(), n: () => beside(1), p: () => beside(-1), s: () => rate("stars"), x: () => rate("rejects"),
    }[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " " && event.target.closest("button, a")) return;
    event.preventDefault();
    act();
  });
  dialog.addEventListener("close", () => go(zoomed));

  // Settings
  const text = (value) => JSON.stringify(value).replace(/\x7f/g, "\\u007f");
  const settings = () => {
    const rules = new Map(data.rules.map((rule) => [rule.match, { ...rule.options }]));
    for (const picture of pictures) {
      const choice = state.choices[picture.id];
      if (!choice) continue;
      const options = rules.get(picture.match) ?? {};
      rules.delete(picture.match); // the last one wins
      options.ev = `${choice.ev}`;
      if (data.shadows) options.shadows = `${choice.shadows}`;
      rules.set(picture.match, options);
    }
    const lines = [...rules].map(([match, options]) => ["[[picture]]", `match = ${text(match)}`,
      ...Object.entries(options).map(([name, value]) => `${name} = ${value}`)].join("\n"));
    return `${[data.settings, ...lines].filter(Boolean).join("\n\n")}\n`;
  };
  const download = (name, content) => {
    const link = element("a", { download: name, href: URL.createObjectURL(new Blob([content], { type: "text/plain" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const copy = (targets, which) => {
    const picture = current();
    if (!picture) return say("Go to the picture whose settings are to be copied first.");
    const values = chosen(picture);
    const others = targets(picture).filter((each) => each !== picture);
    if (!others.length) return say(`No other picture is ${which}.`);
    remember();
    for (const each of others) choose(each, values);
    changed(others);
    say(`${told({}, values)} copied from ${picture.name} to ${many(others.length)}.`);
  };
  const distance = (a, b) => {
    const [first, second] = [a, b].map((picture) => (picture.levels ??= unpacked(picture.look)));
    return first.reduce((sum, level, index) => sum + Math.abs(level - second[index]), 0) / first.length;
  };
  const acts = {
    download: () => download("chosen.toml", settings()),
    names: () => download("names.txt", order.map((picture) => `${picture.source}\n`).join("")),
    "to-selected": () => copy(() => [...selected], "selected"),
    "to-similar": () => copy((picture) => pictures.filter((each) => distance(each, picture) <= SIMILAR), "similar to it"),
    undo: () => {
      if (!undos.length) return;
      state.choices = JSON.parse(undos.pop());
      changed(pictures);
      say("Undone.");
    },
    clear: () => {
      remember();
      state.choices = {};
      changed(pictures);
      say("All pictures have the settings that they were made with.");
    },
    histogram: () => toggle("histogram"),
    clipping: () => toggle("clipping"),
    help: () => at("keys").showModal(),
    "keys-close": () => at("keys").close(),
  };
  for (const [id, act] of Object.entries(acts)) at(id).addEventListener("click", act);

  // Keys: they act on the card that has the focus, or had it last.
  let last = null;
  const current = () => document.activeElement.closest(".card")?.picture ?? (order.includes(last) ? last : null);
  cards.addEventListener("focusin", (event) => {
    const card = event.target.closest(".card");
    if (last && live.get(last)) live.get(last).tabIndex = -1;
    last = card.picture;
    card.tabIndex = 0;
  });
  const reveal = (card) => card.scrollIntoView({ block: "nearest", behavior: "instant" }); // keys are faster than a smooth scroll
  const isInSight = (card) => card.getBoundingClientRect().bottom > 0 && card.getBoundingClientRect().top < innerHeight;
  const go = (picture) => {
    const place = order.indexOf(picture);
    if (place < 0) return;
    if (place < start - CHUNK || place >= end() + CHUNK) begin(Math.max(0, place - CHUNK / 2));
    while (place < start) growUp();
    while (place >= end()) grow();
    const there = live.get(picture);
    fill(there); // so that it has its height
    there.focus({ preventScroll: true });
    reveal(there);
    [...cards.children].filter(isInSight).forEach(fill); // what they grow by would push it out of sight again
    reveal(there);
  };
  const move = (step) => {
    const picture = current();
    const place = picture ? order.indexOf(picture) + step : 0;
    if (place >= 0 && place < order.length) go(order[place]);
  };
  const columns = () => {
    const tops = [...cards.children].slice(0, 12).map((card) => card.offsetTop);
    return tops.filter((top) => top === tops[0]).length || 1;
  };
  const on = (act) => () => { const picture = current(); if (picture) act(picture); else move(0); };
  const keys = {
    ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowDown: () => move(columns()), ArrowUp: () => move(-columns()),
    Home: () => go(order[0]), End: () => go(order.at(-1)),
    " ": on((picture) => live.get(picture).slider?.flip()),
    Enter: on(zoom), z: on(zoom),
    s: on((picture) => flag(picture, "stars")), x: on((picture) => flag(picture, "rejects")), v: on((picture) => select(picture)),
    "+": on((picture) => turn(picture, "ev", 1)), "=": on((picture) => turn(picture, "ev", 1)),
    "-": on((picture) => turn(picture, "ev", -1)),
    "]": on((picture) => turn(picture, "shadows", 1)), "[": on((picture) => turn(picture, "shadows", -1)),
    0: on((picture) => pick(picture, picture.made)),
    y: acts["to-selected"], m: acts["to-similar"], u: acts.undo, d: () => at("download").click(),
    h: acts.histogram, c: acts.clipping, "?": acts.help,
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (target.closest("select, textarea, input:not([type=range]):not([type=checkbox])")) return;
    if (target.matches("[type=range]") && /^(Arrow|Home|End)/.test(event.key)) return;
    if (target.closest("button, a, [type=checkbox]") && (event.key === " " || event.key === "Enter")) return;
    event.preventDefault();
    act();
  });

  arrange();
  tray();
  if (cards.firstChild) cards.firstChild.tabIndex = 0;
})();
