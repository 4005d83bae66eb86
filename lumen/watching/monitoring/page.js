"use strict";
(() => {
  const written = document.getElementById("written");
  const old = document.getElementById("old");
  const refresh = document.getElementById("refresh");
  const at = Number(written.dataset.written) * 1000;
  const loaded = Date.now();
  const touch = { at: 0, down: false };
  // What a reload must not lose; it stays with this entry of the history.
  const kept = { y: 0, focus: "", cuts: {}, refresh: true, ...history.state };

  const ago = (from) => {
    const seconds = Math.max(0, Math.round((Date.now() - from) / 1000));
    if (seconds < 90) return `${seconds} s ago`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
    return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
  };

  const times = [...document.querySelectorAll("time")].map((time) => {
    const from = Date.parse(time.textContent.replace(" UTC", "Z").replace(" ", "T"));
    time.dateTime = new Date(from).toISOString();
    time.title = new Date(from).toLocaleString();
    return { time, from };
  });

  const { frames } = JSON.parse(document.getElementById("frames").textContent);
  document.querySelectorAll(".stage").forEach((stage, index) => {
    const name = stage.dataset.name;
    lumen.size(stage, stage.dataset.width, stage.dataset.height);
    lumen.slider(stage, name).show(
      { src: frames[index].before, title: "before" }, { src: frames[index].after, title: "after" },
    );
    const input = stage.querySelector("input");
    input.id = `cut-${index}`;
    if (kept.cuts[input.id] !== undefined) {
      input.value = kept.cuts[input.id];
      input.dispatchEvent(new Event("input"));
    }
    input.addEventListener("input", () => { kept.cuts[input.id] = input.value; });
  });

  for (const event of ["pointerdown", "keydown", "wheel", "input"]) {
    addEventListener(event, () => { touch.at = Date.now(); touch.down ||= event === "pointerdown"; }, { passive: true });
  }
  for (const event of ["pointerup", "pointercancel"]) addEventListener(event, () => { touch.down = false; });

  const reload = () => {
    history.replaceState({ ...kept, y: scrollY, focus: document.activeElement?.id ?? "" }, "");
    location.reload();
  };
  const isBusy = () => touch.down || Date.now() - touch.at < 3000 || !getSelection().isCollapsed;
  const tick = () => {
    for (const { time, from } of times) time.textContent = ago(from);
    const isOld = !("stopped" in written.dataset) && Date.now() - at > Number(written.dataset.old) * 1000;
    if (isOld) old.textContent = `This page was written ${ago(at)}: the watcher has ended or hangs, or the page cannot be written.`;
    old.hidden = !isOld;
    document.body.classList.toggle("is-old", isOld);
    const isDue = Date.now() - loaded >= Number(written.dataset.reload) * 1000;
    if (kept.refresh && isDue && !document.hidden && !isBusy()) reload();
  };

  refresh.hidden = false;
  refresh.setAttribute("aria-pressed", String(kept.refresh));
  refresh.addEventListener("click", () => {
    kept.refresh = !kept.refresh;
    refresh.setAttribute("aria-pressed", String(kept.refresh));
    history.replaceState(kept, "");
  });

  tick(); // which changes the length of lines, and so where things are
  history.scrollRestoration = "manual";
  scrollTo({ top: kept.y, behavior: "instant" });
  document.getElementById(kept.focus)?.focus({ preventScroll: true });
  setInterval(tick, 1000);
})();
