
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { workloads, sets, policies, findings, counts } = data;
  const $ = (id) => document.getElementById(id);
  const NOTHING = 0, EVERYTHING = 1;

  // Rows come as runs: value, how often.
  const cells = data.rows.map((runs) => {
    const row = new Uint32Array(workloads.length);
    let at = 0;
    for (let i = 0; i < runs.length; i += 2) { row.fill(runs[i], at, at + runs[i + 1]); at += runs[i + 1]; }
    return row;
  });

  /** An element; strings become text, never markup. */
  const make = (tag, props, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(props || {})) {
      if (key === "onclick") element.addEventListener("click", value); else element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const kind = (set) => set === EVERYTHING ? "open" : set === NOTHING ? "denied" : "part";
  const word = { open: "Allowed", part: "Allowed in part", denied: "Denied" };

  // ---- what is shown: matches of the search, and who has to do with them
  const searched = workloads.map((w) => `${w.name} ${w.labels}`.toLowerCase());
  let shown = workloads.map((_, i) => i);
  let matches = new Set();
  let selected = null;

  const search = (query) => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = (text) => words.every((w) => text.includes(w));
    matches = new Set(words.length ? shownAll().filter((i) => hits(searched[i])) : []);
    shown = words.length
      ? shownAll().filter((i) => matches.has(i) || [...matches].some((m) => cells[i][m] !== NOTHING || cells[m][i] !== NOTHING))
      : shownAll();
    document.querySelectorAll(".graph .node[data-name]").forEach((node) => {
      const name = node.dataset.name.toLowerCase();
      const isHit = words.length && (hits(name) || [...matches].some((m) => workloads[m].namespace.toLowerCase() === name));
      node.classList.toggle("lit", Boolean(isHit));
    });
    const picture = document.querySelector(".graph");
    if (picture) picture.classList.toggle("focused", words.length > 0);
    listFindings(hits, words.length > 0);
    resize();
    summary(query);
  };
  const shownAll = () => workloads.map((_, i) => i);

  const summary = (query) => {
    const found = query ? ` Search: ${matches.size} workloads match, ${shown.length} shown.` : "";
    $("summary").textContent =
      `${workloads.length} workloads in ${counts.namespaces} namespaces, ${policies.length} policies. ` +
      `Pairs: ${counts.open} open, ${counts.part} in part, ${counts.denied} denied. ` +
      `${counts.exposed} reached from outside. ${findings.length} findings.${found}`;
  };

  // ---- the matrix
  const canvas = $("canvas"), scroll = $("scroll"), extent = $("extent");
  const draw2d = canvas.getContext("2d");
  const columns = () => shown.length + 1; // the last one is the outside
  let cell = 18, left = 200, top_ = 120, pending = false, zoom = 1;

  const resize = () => {
    const n = columns();
    const longest = Math.max(7, ...shown.map((i) => short(i).length));
    left = Math.round(Math.min(270, 20 + longest * 7));
    top_ = Math.round(Math.min(180, 20 + longest * 7));
    const room = Math.min(scroll.clientWidth - left, scroll.clientHeight - top_) - 24;
    const usual = n > 200 ? 13 : n > 60 ? 15 : Math.max(22, Math.min(60, room / n));
    cell = zoom === "fit" ? Math.max(1, room / n) : Math.max(2, Math.min(90, usual * zoom));
    extent.style.width = `${left + n * cell + 20}px`;
    extent.style.height = `${top_ + n * cell + 20}px`;
    Object.assign(canvas.dataset, { left, top: top_, cell });
    redraw();
  };
  const short = (i) => workloads[i].name.replace(/\[(Pod|Deployment|StatefulSet|DaemonSet|ReplicaSet)\]$/, "");
  const setAt = (row, column) => {
    const n = shown.length;
    if (row === n && column === n) return null;
    if (row === n) return outsideSet(workloads[shown[column]].fromOutside);
    if (column === n) return outsideSet(workloads[shown[row]].toOutside);
    return row === column ? null : cells[shown[row]][shown[column]];
  };
  // One colour for all ranges: everything, nothing, or something.
  const outsideSet = (ranges) => ranges.length === 0 ? NOTHING
    : ranges.every((r) => r[1] === EVERYTHING && /^any/.test(r[0])) ? EVERYTHING : 2;

  const fit = (text, room) => text.length * 6.9 > room ? `${text.slice(0, Math.max(1, Math.floor(room / 6.9) - 1))}…` : text;

  const redraw = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; paint(); });
  };
  const paint = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const ratio = window.devicePixelRatio || 1;
    const width = scroll.clientWidth, height = scroll.clientHeight;
    canvas.width = width * ratio; canvas.height = height * ratio;
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
    const g = draw2d, n = columns();
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.fillStyle = colour("panel"); g.fillRect(0, 0, width, height);
    const x0 = left - scroll.scrollLeft, y0 = top_ - scroll.scrollTop;
    const first = (offset) => Math.max(0, Math.floor(-offset / cell));
    const [r0, c0] = [first(y0 - top_), first(x0 - left)];
    const r1 = Math.min(n, Math.ceil((height - y0) / cell)), c1 = Math.min(n, Math.ceil((width - x0) / cell));
    const fills = { open: colour("open"), part: colour("part"), denied: colour("denied"), self: colour("rule") };
    g.save(); g.beginPath(); g.rect(left, top_, width, height); g.clip();
    for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) {
      const set = setAt(r, c);
      g.fillStyle = set === null ? fills.self : fills[kind(set)];
      // Whole pixels: no seams where cells are small.
      const x = Math.round(x0 + c * cell), y = Math.round(y0 + r * cell), gap = cell > 5 ? 1 : 0;
      g.fillRect(x, y, Math.round(x0 + (c + 1) * cell) - x - gap, Math.round(y0 + (r + 1) * cell) - y - gap);
      // Where there is room the ports stand in the cell.
      if (cell >= 44 && set !== null && set !== NOTHING) {
        const text = r === n - 1 || c === n - 1 ? (set === EVERYTHING ? "all" : "some") : sets[set];
        g.fillStyle = "#fff"; g.font = "11px system-ui, sans-serif"; g.textAlign = "center"; g.textBaseline = "middle";
        text.split(" ").slice(0, 3).forEach((line, i, all) =>
          g.fillText(fit(line, cell), x0 + (c + .5) * cell, y0 + (r + .5) * cell + (i - (all.length - 1) / 2) * 13));
      }
    }
    if (selected && selected.row < n && selected.column < n) {
      g.strokeStyle = colour("mark"); g.lineWidth = 2;
      g.strokeRect(x0 + selected.column * cell - 1, y0 + selected.row * cell - 1, cell + 1, cell + 1);
    }
    g.restore();
    // Where rows are too low for names, each namespace is named once.
    const isLow = cell < 9;
    const namespace = (index) => index === n - 1 ? "" : workloads[shown[index]].namespace;
    const label = (index) => index === n - 1 ? (isLow ? "" : "outside")
      : !isLow ? short(shown[index])
      : index === 0 || namespace(index) !== namespace(index - 1) ? namespace(index) : "";
    let last = -99;
    const hasRoom = (index, at) => { if (!isLow) return true; if (!label(index) || at - last < 11) return false; last = at; return true; };
    const font = (index) => {
      const isHit = !isLow && index < n - 1 && matches.has(shown[index]);
      g.font = `${isHit ? "600 " : ""}${isLow ? 11 : Math.min(12, cell - 2)}px system-ui, sans-serif`;
      const isLit = selected && (index === selected.row || index === selected.column);
      g.fillStyle = isHit || isLit ? colour("mark") : colour("text");
    };
    g.save(); g.beginPath(); g.rect(0, top_, left, height); g.clip(); g.textAlign = "right"; g.textBaseline = "middle";
    for (let r = r0; r < r1; r++) if (hasRoom(r, r * cell)) { font(r); g.fillText(fit(label(r), left - 14), left - 8, y0 + r * cell + (isLow ? 6 : cell / 2)); }
    g.restore();
    g.save(); g.beginPath(); g.rect(left, 0, width, top_); g.clip(); g.textAlign = "left"; g.textBaseline = "middle";
    last = -99;
    for (let c = c0; c < c1; c++) if (hasRoom(c, c * cell)) {
      g.save(); g.translate(x0 + c * cell + (isLow ? 6 : cell / 2), top_ - 8); g.rotate(-Math.PI / 2);
      font(c); g.fillText(fit(label(c), top_ - 14), 0, 0); g.restore();
    }
    g.restore();
  };

  const select = (row, column) => {
    const n = columns();
    selected = { row: Math.max(0, Math.min(n - 1, row)), column: Math.max(0, Math.min(n - 1, column)) };
    explain(selected.row, selected.column);
    redraw();
  };
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const column = Math.floor((x - left + scroll.scrollLeft) / cell), row = Math.floor((y - top_ + scroll.scrollTop) / cell);
    const n = columns();
    const isRow = y > top_ && row >= 0 && row < n, isColumn = x > left && column >= 0 && column < n;
    if (isRow && isColumn) select(row, column);
    else if (isRow && x <= left && row < n - 1) about(shown[row]);
    else if (isColumn && y <= top_ && column < n - 1) about(shown[column]);
  });
  canvas.addEventListener("mousemove", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - left + scroll.scrollLeft) / cell);
    const row = Math.floor((event.clientY - box.top - top_ + scroll.scrollTop) / cell);
    const n = columns();
    const name = (index) => index === n - 1 ? "outside" : workloads[shown[index]].name;
    const inside = event.clientX - box.left > left && event.clientY - box.top > top_ && row < n && column < n && row >= 0 && column >= 0;
    const set = inside ? setAt(row, column) : null;
    canvas.title = set === null ? "" : `${name(row)} → ${name(column)}: ${set < sets.length && row < n - 1 && column < n - 1 ? sets[set] : word[kind(set)]}`;
  });
  scroll.addEventListener("scroll", redraw);
  scroll.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = selected || { row: 0, column: 0 };
    select(from.row + step[0], from.column + step[1]);
    const x = selected.column * cell, y = selected.row * cell;
    const w = scroll.clientWidth - left - cell, h = scroll.clientHeight - top_ - cell;
    if (x < scroll.scrollLeft) scroll.scrollLeft = x; else if (x > scroll.scrollLeft + w) scroll.scrollLeft = x - w;
    if (y < scroll.scrollTop) scroll.scrollTop = y; else if (y > scroll.scrollTop + h) scroll.scrollTop = y - h;
  });

  // ---- explanations
  const link = (index) => make("a", { class: "name", onclick: () => about(index) }, workloads[index].name);
  const place = (text) => text ? make("span", { class: "place" }, ` ${text}`) : null;
  const badge = (set, text) => make("span", { class: `verdict ${kind(set)}` }, text || word[kind(set)]);
  const SHOWN = 8;

  /** One side: who isolates, which rules cover the other end, which do not. */
  const side = (subject, other, direction) => {
    const w = workloads[subject], nr = direction === "ingress" ? 0 : 1;
    const head = make("h3", {}, `${direction === "egress" ? "Egress" : "Ingress"} of ${w.name}`);
    const isolating = w[direction];
    if (w.onHost) return [head, make("p", {}, "It is on its node's network: no policy isolates it.")];
    if (!isolating.length) return [head, make("p", {}, `No policy isolates it for ${direction}: everything is allowed.`)];
    const names = isolating.slice(0, SHOWN).map((p) => policies[p].name).join(", ") + (isolating.length > SHOWN ? ` and ${isolating.length - SHOWN} more` : "");
    const rules = isolating.flatMap((p) => policies[p].rules[nr].map((rule) => ({ policy: policies[p].name, rule })));
    const covers = ({ rule }) => rule.covers === null || (other !== null && rule.covers.includes(other));
    const yes = rules.filter(covers), no = rules.filter((rule) => !covers(rule));
    const line = ({ policy, rule }) => make("li", {}, make("code", {}, `${policy} ${rule.name}`), ` ${rule.ports} with ${rule.peers.length ? rule.peers.join("; ") : "everybody"}`, place(rule.place));
    const list = (title, items) => items.length ? [make("p", {}, title), make("ul", {}, ...items.slice(0, SHOWN).map(line),
      items.length > SHOWN ? make("li", { class: "faint" }, `and ${items.length - SHOWN} more`) : null)] : [];
    return [head, make("p", {}, `Isolated by ${names}.`),
      ...(other === null ? list("Its rules:", rules) : [...list("Rules that cover the other end:", yes), ...(yes.length ? [] : list("No rule covers the other end. The rules are:", no)),
        ...(rules.length ? [] : [make("p", {}, "There is no rule: nothing is allowed.")])])];
  };

  const explain = (row, column) => {
    const n = columns(), detail = $("detail");
    if (row === n - 1 || column === n - 1) {
      if (row === column) return detail.replaceChildren(make("p", { class: "faint" }, "Traffic between addresses outside is not the cluster's."));
      const isIngress = row === n - 1;
      const index = shown[isIngress ? column : row];
      const ranges = isIngress ? workloads[index].fromOutside : workloads[index].toOutside;
      const table = make("table", {}, ...ranges.map(([range, set]) => make("tr", {}, make("td", {}, range), make("td", {}, sets[set]))));
      return detail.replaceChildren(
        make("h2", {}, ...(isIngress ? ["outside → ", link(index)] : [link(index), " → outside"])),
        ranges.length ? table : make("p", {}, badge(NOTHING), " for every address."),
        ...side(index, null, isIngress ? "ingress" : "egress"));
    }
    const [source, destination] = [shown[row], shown[column]];
    if (source === destination) return about(source);
    const set = cells[source][destination];
    detail.replaceChildren(
      make("h2", {}, link(source), " → ", link(destination)),
      make("p", {}, badge(set), ` ${set === NOTHING ? "" : sets[set]}`),
      ...(set === NOTHING ? [make("p", { class: "faint" }, "A denied packet is dropped: the client sees a timeout, not a refusal.")] : []),
      ...(workloads[source].onHost && set !== NOTHING
        ? [make("p", {}, "The source is on its node's network. A node may always reach the pods that run on it, whatever policies say.")] : []),
      ...side(source, destination, "egress"), ...side(destination, source, "ingress"));
  };

  /** A workload: what it reaches and what reaches it. */
  const about = (index) => {
    const w = workloads[index];
    const rows = (of, title) => {
      const others = shownAll().filter((o) => o !== index && of(o) !== NOTHING);
      const most = 200;
      return [make("h3", {}, `${title} (${others.length})`), make("table", {}, ...others.slice(0, most).map((o) =>
        make("tr", {}, make("td", {}, link(o)), make("td", {}, sets[of(o)])))), others.length > most ? make("p", { class: "faint" }, `and ${others.length - most} more`) : null].filter(Boolean);
    };
    const way = w.way === null ? [make("p", {}, "The outside does not reach it, not over other workloads either.")]
      : [make("p", {}, "From outside: outside", ...w.way.flatMap((step) => [" → ", link(step)]))];
    const outside = (title, ranges) => [make("h3", {}, title), ranges.length
      ? make("table", {}, ...ranges.map(([range, set]) => make("tr", {}, make("td", {}, range), make("td", {}, sets[set]))))
      : make("p", {}, "nothing")];
    $("detail").replaceChildren(
      make("h2", {}, w.name),
      make("p", { class: "faint" }, `${w.pods} ${w.pods === 1 ? "pod" : "pods"}${w.labels ? `; ${w.labels}` : ""}${w.onHost ? "; on the host network" : ""}`),
      ...way,
      ...rows((o) => cells[index][o], "Reaches"), ...rows((o) => cells[o][index], "Reached by"),
      ...outside("From outside", w.fromOutside), ...outside("To outside", w.toOutside),
      ...side(index, null, "ingress"), ...side(index, null, "egress"));
  };

  // ---- findings
  const listFindings = (hits, isSearch) => {
    const text = (f) => [f.code, f.name, f.severity, f.object, f.field, f.message, f.remedy, f.file].filter(Boolean).join(" ").toLowerCase();
    const found = isSearch ? findings.filter((f) => hits(text(f))) : findings;
    const most = 500;
    $("findings").replaceChildren(
      make("p", { class: "legend" }, found.length ? `${found.length} findings` : "Nothing found."),
      ...found.slice(0, most).map((f) => make("div", { class: `finding ${f.severity}` },
        make("p", {}, make("code", {}, f.code), ` ${f.severity} `, make("b", {}, f.object || f.file || ""), ` ${f.field || ""}`, place(f.file ? `${f.file}${f.line ? `:${f.line}` : ""}` : "")),
        make("p", {}, f.message), make("p", { class: "faint" }, `→ ${f.remedy}`))),
      ...(found.length > most ? [make("p", { class: "faint" }, `and ${found.length - most} more; search for them`)] : []));
    $("tab-findings").textContent = `Findings (${found.length})`;
  };

  // ---- the graph
  document.querySelectorAll(".graph .node[data-node]").forEach((node) => {
    const show = () => {
      const nr = node.dataset.node, graph = node.closest(".graph");
      graph.classList.add("focused");
      graph.querySelectorAll(".lit").forEach((lit) => lit.classList.remove("lit"));
      node.classList.add("lit");
      graph.querySelectorAll(".edge").forEach((edge) => {
        if (edge.dataset.from !== nr && edge.dataset.to !== nr) return;
        edge.classList.add("lit");
        for (const end of [edge.dataset.from, edge.dataset.to]) {
          const other = graph.querySelector(`.node[data-node="${end}"]`);
          if (other) other.classList.add("lit");
        }
      });
      const index = workloads.findIndex((w) => w.name === node.dataset.name);
      if (index >= 0) about(index); else { $("search").value = `${node.dataset.name}/`; search($("search").value); open_("matrix"); }
    };
    node.addEventListener("click", show);
    node.addEventListener("keydown", (event) => { if (event.key === "Enter") show(); });
  });

  // ---- tabs, theme, start
  const open_ = (name) => {
    for (const tab of ["matrix", "graph", "findings"]) {
      $(tab).hidden = tab !== name;
      $(`tab-${tab}`).setAttribute("aria-selected", String(tab === name));
    }
    if (name === "matrix") resize();
  };
  for (const tab of ["matrix", "graph", "findings"]) $(`tab-${tab}`).addEventListener("click", () => open_(tab));
  let waiting = 0;
  $("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => search(event.target.value), 60);
  });
  const zoomTo = (to) => { zoom = to; resize(); };
  $("smaller").addEventListener("click", () => zoomTo(zoom === "fit" ? 0.5 : zoom / 1.4));
  $("larger").addEventListener("click", () => zoomTo(zoom === "fit" ? 1 : zoom * 1.4));
  $("fit").addEventListener("click", () => zoomTo("fit"));
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    redraw();
  });
  addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  search("");
})();
