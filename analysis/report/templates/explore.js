"use strict";
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const count = data.run_id.length, MOST_ROWS = 200;
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, more) => Object.assign(document.createElement(tag), { textContent: text ?? "" }, more);
  const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const shown = (name, value) => value === null || value === undefined ? "\u2013"
    : `${value >= 1000 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3))}${data.outcomes[name].unit && ` ${data.outcomes[name].unit}`}`;

  // One dimension a factor: a filter then costs a set of levels, whatever the number of runs.
  const runs = crossfilter(Array.from({ length: count }, (_, place) => place));
  const factors = data.factors.map((factor) => {
    const dimension = runs.dimension((place) => factor.of[place]);
    return { ...factor, dimension, group: dimension.group(), kept: new Set(factor.levels.keys()), counts: [] };
  });
  // Orders that no filter changes are found once: a filter only leaves runs out of them.
  const sorted = (before) => [...data.run_id.keys()].sort(before);
  const byTime = sorted((a, b) => data.started_at[a] - data.started_at[b]);
  const ranked = {};
  const byRank = (name) => (ranked[name] ??= sorted((a, b) => (data.outcomes[name].of[b] ?? -1) - (data.outcomes[name].of[a] ?? -1)));
  const among = (kept) => {
    const there = new Uint8Array(count);
    for (const run of kept) there[run] = 1;
    return (run) => there[run];
  };
  // Campaigns of one seed hold runs of one id: then the campaign's place tells them apart.
  const twice = new Set(data.run_id).size < count;
  const named = (run) => twice ? `${data.run_id[run]}.${data.home[run]}` : data.run_id[run];
  const places = new Map([...data.run_id.keys()].map((run) => [named(run), run]));
  let outcome = "pause", chosen = null, drawn = 0;

  const state = () => {
    const words = factors.filter((factor) => factor.kept.size < factor.levels.length)
      .map((factor) => `${encodeURIComponent(factor.name)}=${[...factor.kept].sort((a, b) => a - b).join(".")}`);
    if (outcome !== "pause") words.push(`show=${outcome}`);
    if (chosen !== null) words.push(`run=${named(chosen)}`);
    return words.join("&");
  };
  // An address that was cut or mistyped is no reason for an empty page.
  const decoded = (word) => {
    try { return decodeURIComponent(word); } catch { return word; }
  };
  const restore = (text) => {
    const given = new Map(text.split("&").filter(Boolean).map((word) => {
      const at = word.indexOf("=");
      return [decoded(word.slice(0, at)), word.slice(at + 1)];
    }));
    for (const factor of factors) {
      const kept = (given.get(factor.name) ?? "").split(".").filter(Boolean).map(Number).filter((place) => place in factor.levels);
      factor.kept = new Set(given.has(factor.name) ? kept : factor.levels.keys());
    }
    const show = given.get("show") ?? "";
    outcome = Object.hasOwn(data.outcomes, show) ? show : "pause";
    chosen = places.get(given.get("run")) ?? null;
  };

  const colours = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = {};
  const wide = () => Math.max(280, $("strips").clientWidth - 2);
  const drawPoints = (plot, kept) => {
    const [xs, ys] = plot.data, context = plot.ctx, many = count > 2000, size = Math.max(2, devicePixelRatio * (many ? 1.5 : 2.5));
    const circle = (x, y, radius) => {
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.fill();
    };
    // A circle is a path of its own to fill: of thousands of points, small squares look the same.
    const side = Math.round(1.8 * size), square = (x, y) => context.fillRect(Math.round(x - side / 2), Math.round(y - side / 2), side, side);
    context.save();
    for (let at = 0; at < xs.length; at += 1) {
      if (ys[at] === null) continue;
      const run = kept[at], mine = run === chosen, x = plot.valToPos(xs[at], "x", true), y = plot.valToPos(ys[at], "y", true);
      context.fillStyle = mine ? (dark.matches ? "#fff" : "#000") : colours[cells.of[run] % colours.length];
      if (many && !mine) square(x, y); else circle(x, y, mine ? 2.5 * size : size);
    }
    context.restore();
  };
  const cells = factors[0];
  const axisLabel = () => `${data.outcomes[outcome].words}${data.outcomes[outcome].unit && ` (${data.outcomes[outcome].unit})`}`;
  const plotOf = (id, width, height, kept, xs, axis) => {
    plots[id]?.destroy();
    const ink = getComputedStyle(document.body).color, grid = getComputedStyle(document.body).getPropertyValue("--line");
    const look = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "11px system-ui" };
    const values = data.outcomes[outcome].of, ys = kept.map((run) => values[run]);
    const plot = new uPlot({
      width, height, cursor: { drag: { x: false, y: false, click: () => {} }, points: { show: false } },
      scales: { x: { time: false, ...axis.scale }, y: { range: (_, low, high) => [0, 1.08 * (high || 1)] } },
      axes: [{ ...look, ...axis.look }, { ...look, size: 62, label: axisLabel(), labelSize: 18, labelFont: "11px system-ui" }],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [(self) => drawPoints(self, kept)] },
    }, [xs, ys], $(id));
    plots[id] = plot;
    // The nearest run to a click, within a finger's width.
    plot.over.addEventListener("click", (event) => {
      const box = plot.over.getBoundingClientRect();
      let best = null, least = 24 * 24;
      kept.forEach((run, at) => {
        if (ys[at] === null) return;
        const far = (plot.valToPos(xs[at], "x") - (event.clientX - box.left)) ** 2 + (plot.valToPos(ys[at], "y") - (event.clientY - box.top)) ** 2;
        if (far < least) { least = far; best = run; }
      });
      if (best !== null) { chosen = best; update(); }
    });
  };

  const draw = (kept) => {
    const width = drawn = wide();  // asked for once: each question lays the page out
    const present = cells.levels.map((_, place) => place).filter((place) => cells.kept.has(place) && cells.counts[place] > 0);
    const column = new Map(present.map((cell, place) => [cell, place]));
    const seen = cells.levels.map(() => 0);
    const xs = kept.map((run) => {
      const cell = cells.of[run], nth = seen[cell];
      seen[cell] += 1;
      return column.get(cell) + 0.6 * ((nth * 0.618034) % 1) - 0.3;
    });
    const every = Math.max(1, Math.ceil(30 * present.length / (width - 80)));  // no number lies on its neighbour
    const order = xs.map((_, at) => at).sort((a, b) => xs[a] - xs[b]);
    plotOf("strips", width, 300, order.map((at) => kept[at]), order.map((at) => xs[at]), {
      scale: { range: () => [-0.6, present.length - 0.4] },
      look: { splits: () => present.map((_, place) => place), values: (_, at) => at.map((place) => place % every ? "" : String(place + 1)) },
    });
    $("key").textContent = present.map((cell, place) => `${place + 1}: ${cells.levels[cell]}`).join("; ");
    const start = data.started_at[byTime[0]];
    const inTime = byTime.filter(among(kept));
    plotOf("timeline", width, 220, inTime, inTime.map((run) => (data.started_at[run] - start) / 3600), {
      look: { label: "hours since the first run", labelSize: 18, labelFont: "11px system-ui", size: 34 },
    });
  };

  const bars = (title, pairs) => {
    const most = Math.max(...pairs.map(([, value]) => value ?? 0), 1e-12), box = make("div", "", { className: "bars" });
    for (const [name, value] of pairs) {
      const bar = make("div", "", { className: "bar" });
      bar.style.width = `${100 * (value ?? 0) / most}%`;
      const cell = make("div");
      cell.append(bar);
      box.append(make("div", name), cell, make("div", value === null ? "\u2013" : `${value.toPrecision(3)} ms`));
    }
    return [make("h2", title), box];
  };
  const tell = () => {
    const box = $("run");
    box.hidden = chosen === null;
    box.replaceChildren();
    if (chosen === null) return;
    const path = `${data.homes[data.home[chosen]]}/runs/${data.run_id[chosen]}/`;
    box.append(make("strong", `run ${data.run_id[chosen]}`), make("p", factors.map((one) => `${one.name}: ${one.levels[one.of[chosen]]}`).join(" \u00b7 ")));
    box.append(make("p", `started ${new Date(1e3 * data.started_at[chosen]).toISOString().slice(0, 19).replace("T", " ")} UTC, ${plural(data.checkpoints[chosen], "checkpoint")} after the warm-up`));
    box.append(...bars("Phases, mean", Object.entries(data.phases).map(([name, values]) => [name, values[chosen]])));
    // As in the tables, a tail takes five checkpoints or more beyond it.
    const few = (share) => share > 0.5 && share < 1 && data.checkpoints[chosen] * (1 - share) < 5 - 1e-9;
    box.append(...bars("Pause, quantiles of its checkpoints", data.quantiles.map((share, place) => [`${100 * share} %${few(share) ? ", exploratory" : ""}`, data.sketch[place][chosen]])));
    const files = make("p", "files, from this page's folder: ");
    for (const name of ["run.json", "checkpoints.parquet", "qmp.jsonl", "primary/", "secondary/"]) files.append(make("code", path + name), " ");
    box.append(files);
  };

  const table = (kept) => {
    const values = data.outcomes[outcome].of;
    const rows = byRank(outcome).filter(among(kept)).slice(0, MOST_ROWS);
    $("heads").replaceChildren(...["run", ...factors.map((one) => one.name)].map((name) => make("th", name)), make("th", data.outcomes[outcome].words, { className: "n" }));
    $("rows").replaceChildren(...rows.map((run) => {
      const row = make("tr", "", { tabIndex: 0 });
      row.dataset.run = data.run_id[run];
      row.dataset.place = run;
      row.setAttribute("aria-selected", String(run === chosen));
      row.append(make("td", data.run_id[run]), ...factors.map((one) => make("td", one.levels[one.of[run]])), make("td", shown(outcome, values[run]), { className: "n" }));
      return row;
    }));
    $("more").textContent = kept.length > rows.length ? `The ${rows.length} with the most of ${kept.length}; filter to see others.` : "";
  };

  const update = () => {
    const began = performance.now();
    delete document.body.dataset.took;
    for (const factor of factors) {
      const wanted = [...factor.kept].sort().join();
      if (wanted !== factor.filtered) factor.dimension.filter((place) => factor.kept.has(place));
      factor.filtered = wanted;
    }
    for (const factor of factors) {
      factor.counts = factor.levels.map(() => 0);
      for (const { key, value } of factor.group.all()) factor.counts[key] = value;
      factor.boxes.forEach((box, place) => {
        box.checked = factor.kept.has(place);
        box.nextSibling.lastChild.textContent = ` ${factor.counts[place]}`;
      });
    }
    const kept = runs.allFiltered();
    $("count").textContent = `${kept.length} of ${plural(count, "run")}` + (data.failed ? `, and ${data.failed} that failed` : "")
      + (data.unread ? `, and ${data.unread} that cannot be read` : "")
      + (data.without ? `, and ${data.without} not here, of which no checkpoint was asked` : "");
    $("outcome").value = outcome;
    draw(kept); table(kept); tell();
    history.replaceState(null, "", `#${state()}`);
    // uPlot draws in a microtask, the browser in its next frame: a task after that frame comes after both.
    requestAnimationFrame(() => setTimeout(() => { document.body.dataset.took = (performance.now() - began).toFixed(1); }));
  };

  for (const factor of factors) {
    const box = make("fieldset");
    box.append(make("legend", factor.name));
    factor.boxes = factor.levels.map((level, place) => {
      const label = make("label"), text = make("b", "");
      text.style.fontWeight = "normal";
      text.append(level, make("span", ""));
      const check = make("input", null, { type: "checkbox" });
      check.addEventListener("change", () => {
        if (check.checked) factor.kept.add(place); else factor.kept.delete(place);
        update();
      });
      label.append(check, text);
      box.append(label);
      return check;
    });
    $("filters").append(box);
  }
  for (const [name, one] of Object.entries(data.outcomes)) $("outcome").append(make("option", one.words, { value: name }));
  $("outcome").addEventListener("change", () => { outcome = $("outcome").value; update(); });
  $("reset").addEventListener("click", () => { restore(""); update(); });
  const choose = (event) => {
    const row = event.target.closest("tr[data-run]");
    if (!row || (event.type !== "click" && event.key !== "Enter")) return;
    chosen = Number(row.dataset.place);
    update();
    $("rows").querySelector("[aria-selected=true]")?.focus({ preventScroll: true });  // the row is a new one
  };
  $("rows").addEventListener("click", choose);
  $("rows").addEventListener("keydown", choose);
  addEventListener("hashchange", () => { restore(location.hash.slice(1)); update(); });
  // A phone's bars come and go as one scrolls: only another width is another drawing.
  addEventListener("resize", () => { if (wide() !== drawn) draw(runs.allFiltered()); });
  dark.addEventListener("change", () => draw(runs.allFiltered()));
  restore(location.hash.slice(1));
  update();
}
