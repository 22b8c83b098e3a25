"use strict";
// Scores of test videos over time. What is shown lies in the script element `data`:
// class names; for each video its length, its segments (class, start, end) and the
// scores of every class at even times, as 16-bit whole numbers in base64.
(() => {
  const FULL = 65535;
  const WIDTH = 1000;
  const HEIGHT = 100;
  const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600];
  const TICKS = 10;
  const LEAP = 10; // points, with the Shift key

  const data = JSON.parse(document.getElementById("data").textContent);
  const videos = data.videos.map(unpacked);
  const at = (id) => document.getElementById(id);
  const state = { video: 0, point: 0, row: 0, rows: [] };

  function unpacked(video) {
    const bytes = Uint8Array.from(atob(video.scores), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const scores = data.classes.map((_, k) =>
      Float32Array.from({ length: video.points }, (_, n) =>
        view.getUint16(2 * (k * video.points + n), true) / FULL,
      ),
    );
    return { ...video, scores, highest: scores.map((row) => Math.max(...row)) };
  }

  // Labelled classes by their first start, then the others, highest score first.
  function order(video) {
    const labelled = [...new Set(video.segments.map(([k]) => k))];
    const others = data.classes.map((_, k) => k).filter((k) => !labelled.includes(k));
    others.sort((a, b) => video.highest[b] - video.highest[a]);
    return { labelled, all: [...labelled, ...others] };
  }

  function element(tag, name, text = "") {
    const made = document.createElement(tag);
    made.className = name;
    made.textContent = text;
    return made;
  }

  function shape(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function seconds(point) {
    const video = videos[state.video];
    return (video.duration * point) / Math.max(1, video.points - 1);
  }

  function full(video, k) {
    const scale = at("scale").value;
    if (scale === "one") return 1;
    return (scale === "class" ? video.highest[k] : Math.max(...video.highest)) || 1;
  }

  function drawLane(video, k) {
    const lane = element("div", "lane");
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
    const svg = shape("svg", { ...box, "aria-hidden": "true" });
    for (const [label, start, end] of video.segments) {
      if (label !== k) continue;
      const x = (WIDTH * start) / video.duration;
      const width = (WIDTH * (end - start)) / video.duration;
      svg.append(shape("rect", { x, width, y: 0, height: HEIGHT }));
      svg.append(shape("rect", { x, width, y: HEIGHT - 6, height: 6, class: "foot" }));
    }
    const top = full(video, k);
    const points = Array.from(video.scores[k], (score, n) => {
      const x = (WIDTH * n) / Math.max(1, video.points - 1);
      return `${x.toFixed(1)},${(HEIGHT - 0.94 * HEIGHT * Math.min(1, score / top)).toFixed(1)}`;
    });
    const curve = points.join(" ");
    svg.append(shape("polygon", { points: `0,${HEIGHT} ${curve} ${WIDTH},${HEIGHT}`, class: "area" }));
    svg.append(shape("polyline", { points: curve, class: "curve" }));
    lane.append(svg, element("div", "cursor"));
    return lane;
  }

  function drawRow(video, k, labelled) {
    const row = element("div", labelled ? "row labelled" : "row");
    row.dataset.class = data.classes[k];
    const name = element("div", "name", data.classes[k]);
    name.title = data.classes[k] + (labelled ? "" : " (not annotated in this video)");
    row.append(name, drawLane(video, k), element("div", "now"));
    return { k, row, labelled };
  }

  function drawAxis(video) {
    const step = STEPS_S.find((s) => video.duration / s <= TICKS) || 7200;
    const ticks = at("ticks");
    ticks.replaceChildren();
    for (let t = 0; t <= video.duration - 0.9 * step; t += step) {
      const tick = element("span", "", `${+t.toFixed(1)}`);
      tick.style.left = `${(100 * t) / video.duration}%`;
      ticks.append(tick);
    }
    const end = element("span", "", `${+video.duration.toFixed(1)} s`);
    end.style.left = "100%";
    ticks.append(end);
  }

  function drawVideo() {
    const video = videos[state.video];
    const { labelled, all } = order(video);
    state.rows = all.map((k) => drawRow(video, k, labelled.includes(k)));
    at("rows").replaceChildren(...state.rows.map(({ row }) => row));
    at("video").value = String(state.video);
    at("counts").textContent =
      `${video.segments.length} annotated actions of ${labelled.length} classes`;
    drawAxis(video);
    state.row = 0;
    state.point = Math.min(state.point, video.points - 1);
    filter();
  }

  function filter() {
    const words = at("search").value.toLowerCase();
    for (const { k, row, labelled } of state.rows) {
      const found = data.classes[k].toLowerCase().includes(words);
      row.hidden = !found || (at("labelled").checked && !labelled);
    }
    const shown = state.rows.findIndex(({ row }) => !row.hidden);
    at("none").hidden = shown >= 0;
    if (shown >= 0 && state.rows[state.row].row.hidden) state.row = shown;
    drawCursor();
  }

  function said(k, point) {
    const video = videos[state.video];
    const t = seconds(point);
    const inside = video.segments.some(([c, s, e]) => c === k && s <= t && t < e);
    const score = video.scores[k][point].toFixed(3);
    return `${t.toFixed(2)} s · ${data.classes[k]} · score ${score} · ` +
      (inside ? "annotated" : "not annotated");
  }

  function drawCursor() {
    const video = videos[state.video];
    const left = `${(100 * state.point) / Math.max(1, video.points - 1)}%`;
    state.rows.forEach(({ k, row }, place) => {
      row.classList.toggle("chosen", place === state.row);
      row.querySelector(".cursor").style.left = left;
      row.querySelector(".now").textContent = video.scores[k][state.point].toFixed(3);
    });
    at("readout").textContent = said(state.rows[state.row].k, state.point);
  }

  function pointUnder(event, row) {
    const box = row.querySelector(".lane").getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return Math.round(share * (videos[state.video].points - 1));
  }

  function rowUnder(event) {
    const row = event.target.closest(".row");
    return row ? state.rows.findIndex((found) => found.row === row) : -1;
  }

  function hover(event) {
    const place = rowUnder(event);
    const tip = at("tip");
    tip.hidden = place < 0;
    if (place < 0) return;
    const { k, row } = state.rows[place];
    tip.textContent = said(k, pointUnder(event, row));
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 18;
    const fits = below + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${fits ? below : event.clientY - tip.offsetHeight - 8}px`;
  }

  function click(event) {
    const place = rowUnder(event);
    if (place < 0) return;
    state.row = place;
    if (event.target.closest(".lane")) state.point = pointUnder(event, state.rows[place].row);
    drawCursor();
  }

  function show(number) {
    state.video = (number + videos.length) % videos.length;
    drawVideo();
  }

  function moveRow(by) {
    let place = state.row + by;
    while (state.rows[place] && state.rows[place].row.hidden) place += by;
    if (state.rows[place]) state.row = place;
    state.rows[state.row].row.scrollIntoView({ block: "nearest" });
  }

  function movePoint(to) {
    state.point = Math.min(videos[state.video].points - 1, Math.max(0, to));
  }

  function press(event) {
    if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
    const far = event.shiftKey ? LEAP : 1;
    const keys = {
      ArrowLeft: () => movePoint(state.point - far),
      ArrowRight: () => movePoint(state.point + far),
      Home: () => movePoint(0),
      End: () => movePoint(Infinity),
      ArrowUp: () => moveRow(-1),
      ArrowDown: () => moveRow(1),
      n: () => show(state.video + 1),
      p: () => show(state.video - 1),
    };
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
    drawCursor();
  }

  const longest = Math.max(...data.classes.map((name) => name.length));
  document.body.style.setProperty("--longest", `${longest + 2}ch`);
  videos.forEach((video, number) => at("video").append(new Option(video.id, number)));
  at("video").addEventListener("change", (event) => show(Number(event.target.value)));
  at("previous").addEventListener("click", () => show(state.video - 1));
  at("next").addEventListener("click", () => show(state.video + 1));
  at("labelled").addEventListener("change", filter);
  at("search").addEventListener("input", filter);
  at("scale").addEventListener("change", drawVideo);
  at("rows").addEventListener("mousemove", hover);
  at("rows").addEventListener("mouseleave", () => { at("tip").hidden = true; });
  at("rows").addEventListener("click", click);
  document.addEventListener("keydown", press);
  show(0);
})();
