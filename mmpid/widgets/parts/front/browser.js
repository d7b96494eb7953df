// Runs side by side: a table with sorting, filtering and choosing in the page, and the charts of the chosen runs.

const LOOKS = { solid: null, dashed: "7 4", dotted: "2 4", dashdot: "8 3 2 3" };
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

class RunTable {
  constructor(columns, onchoose) {
    Object.assign(this, { columns, onchoose, sorted: null, upward: true, words: "", rows: new Map() });
    this.body = html("tbody");
    this.heads = [["chosen", "compare"], ["name", "run"], ...columns.map((name) => [name, name])].map(([key, words]) => {
      const sort = html("button", { type: "button", class: "mmpid-runs-sort" }, words);
      sort.addEventListener("click", () => this.sort(key));
      return { key, root: html("th", { scope: "col", "aria-sort": "none" }, sort) };
    });
    this.root = html("table", { class: "mmpid-table mmpid-runs", "aria-label": "Runs" }, html("thead", {}, html("tr", {}, this.heads.map((head) => head.root))), this.body);
    this.body.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], boxes = [...this.body.querySelectorAll("input")], i = boxes.indexOf(event.target);
      if (!step || i < 0) return;
      boxes[clamp(i + step, 0, boxes.length - 1)].focus();
      event.preventDefault();
    });
  }

  sort(key) {
    this.upward = this.sorted === key ? !this.upward : key !== "chosen";
    this.sorted = key;
    for (const head of this.heads) set(head.root, { "aria-sort": head.key === key ? (this.upward ? "ascending" : "descending") : "none" });
    this.arrange();
  }

  filter(words) {
    this.words = words.trim().toLowerCase();
    return this.arrange();
  }

  /** Update the runs: existing rows stay, and so does the focus. */
  show(runs) {
    const names = new Set(runs.map((run) => run.name));
    for (const [name, row] of this.rows) if (!names.has(name)) { row.root.remove(); this.rows.delete(name); }
    for (const run of runs) {
      let row = this.rows.get(run.name);
      if (row && row.whole !== !run.problem) { row.root.remove(); row = null; }
      row ??= this.make(run);
      this.fill(row, run);
      this.rows.set(run.name, row);
    }
    this.runs = runs;
    return this.arrange();
  }

  make(run) {
    const box = run.problem ? null : html("input", { type: "checkbox", "aria-label": `Compare ${run.name}` });
    box?.addEventListener("change", () => this.onchoose(run.name, box.checked));
    const line = html("span", { class: "mmpid-runs-line" }), name = html("th", { scope: "row", title: run.place }, line, run.name);
    const cells = run.problem ? [html("td", { class: "mmpid-reason", colspan: this.columns.length })] : this.columns.map(() => html("td"));
    return { box, line, cells, whole: !run.problem, root: html("tr", {}, html("td", {}, box), name, cells) };
  }

  fill(row, run) {
    if (run.problem) return set(row.cells[0], { text: run.problem });
    this.columns.forEach((column, i) => set(row.cells[i], { text: run.cells[column] }));
    if (row.box.checked !== run.chosen) row.box.checked = run.chosen;
    const look = run.chosen ? `${run.role} ${run.dash}` : "";
    if (row.look === look) return undefined;
    row.look = look;
    row.line.replaceChildren(...(run.chosen ? [svg("svg", { width: 30, height: 10, "aria-hidden": "true" }, svg("line", { x1: 1, y1: 5, x2: 29, y2: 5, stroke: `var(--${run.role}-line)`, "stroke-width": 2.5, "stroke-dasharray": LOOKS[run.dash] }))] : []));
    return undefined;
  }

  /** Sort the rows and hide those that the filter excludes; return how many are shown. Damaged runs come last. */
  arrange() {
    const value = (run) => (this.sorted === "chosen" ? String(Number(run.chosen)) : this.sorted === "name" ? run.name : run.cells?.[this.sorted] ?? ""), way = this.upward ? 1 : -1;
    const runs = [...(this.runs ?? [])];
    if (this.sorted) runs.sort((a, b) => !!a.problem - !!b.problem || way * order.compare(value(a), value(b)) || order.compare(a.name, b.name));
    else runs.sort((a, b) => !!a.problem - !!b.problem);
    let shown = 0;
    const kept = this.root.getRootNode().activeElement;
    runs.forEach((run, i) => {
      const { root } = this.rows.get(run.name), text = [run.name, run.problem, ...Object.values(run.cells ?? {})].join(" ").toLowerCase();
      root.hidden = !this.words.split(/\s+/).every((word) => text.includes(word));
      shown += !root.hidden;
      if (this.body.children[i] !== root) this.body.insertBefore(root, this.body.children[i] ?? null);
    });
    if (this.body.contains(kept)) kept.focus(); // a row that is moved would lose it
    return shown;
  }
}

class RunPage {
  constructor(model, el) {
    Object.assign(this, { model, at: null });
    const setup = model.get("setup"), send = (said) => model.send(said);
    this.sentence = html("h2", { class: "mmpid-headline" });
    this.say = html("div", { class: "mmpid-unseen", role: "status", "aria-live": "polite" });
    this.evidence = html("p", { class: "mmpid-evidence" });
    this.table = new RunTable(setup.columns, (name, value) => send({ do: "choose", name, value }));
    this.shown = html("span", { class: "mmpid-quiet", role: "status", "aria-live": "polite" });
    this.search = html("input", { type: "search", "aria-label": "Filter the runs", placeholder: "Filter, such as av-digits joint" });
    this.search.addEventListener("input", () => this.count(this.table.filter(this.search.value)));
    this.menus = Object.fromEntries([["quantity", "Curve"], ["output", "of"], ["part", "Information"]].map(([name, words]) => {
      const menu = html("select", { class: "mmpid-select", "aria-label": words });
      menu.addEventListener("change", () => send({ do: "show", [name]: menu.value }));
      return [name, menu];
    }));
    const label = (words, one) => html("label", {}, words, one), hooks = { onlook: (at) => this.look(at), onmove: (at) => this.look(at), onkey: (event) => this.key(event) };
    this.charts = ["curves", "parts"].map((name) => new EpochChart({ name, label: `${name === "curves" ? "How well they do" : "What their encoders know"}. Arrow keys read the values.`, ...hooks }));
    this.titles = this.charts.map(() => [html("h3"), html("span", { class: "mmpid-quiet" })]);
    this.values = html("p", { class: "mmpid-browser-values", role: "status", "aria-live": "polite" });
    this.comparison = html("div", { class: "mmpid-tables-row mmpid-comparison", role: "region", "aria-label": "Comparison of the chosen runs", tabindex: 0 });
    this.fold = button("The charts' data as tables", { onpress: () => send({ do: "tables", open: !this.model.get("now").open }) });
    this.data = html("div", { class: "mmpid-tables", role: "region", "aria-label": "Tables", tabindex: 0, hidden: true, id: freshId("tables") });
    this.failure = html("div");
    const refresh = button("Refresh", { icon: "replay", tip: "Look for runs again", onpress: () => send({ do: "refresh" }) }), pair = this.charts.map((chart, i) => html("div", {}, html("div", { class: "mmpid-chart-head" }, this.titles[i]), chart.root));
    this.root = html("section", { class: "mmpid-page mmpid-board mmpid-browser", role: "region", "aria-label": "Run browser", "data-lm-suppress-shortcuts": "true" }, html("div", { class: "mmpid-inner" },
      html("header", { class: "mmpid-head" }, this.sentence, refresh, this.evidence), this.failure,
      html("div", { class: "mmpid-browser-tools" }, this.search, this.shown, html("span", { class: "push" }), label("Curve ", this.menus.quantity), label("of ", this.menus.output), label("Information ", this.menus.part)),
      html("div", { class: "mmpid-runs-box", role: "region", "aria-label": "Table of runs", tabindex: 0 }, this.table.root), html("div", { class: "mmpid-browser-pair" }, pair), this.values, this.comparison, html("div", {}, this.fold), this.data, this.say));
    this.root.addEventListener("keydown", (event) => { if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation(); });
    el.append(this.root);
    this.forget = followTheme(this.root);
    this.answer = () => { this.waits ??= requestAnimationFrame(() => { this.waits = undefined; this.render(); }); };
    model.on("change", this.answer);
    for (const name of ["now", "runs", "charts", "comparison", "tables"]) model.on(`change:${name}`, this.answer);
    this.render();
  }

  dispose() {
    this.forget();
    this.model.off("change", this.answer);
    for (const name of ["now", "runs", "charts", "comparison", "tables"]) this.model.off(`change:${name}`, this.answer);
    for (const chart of this.charts) chart.dispose();
  }

  count(shown) {
    const all = this.model.get("runs").length;
    set(this.shown, { text: this.search.value.trim() ? `${shown} of ${all} rows shown` : "" });
  }

  render() {
    const { model } = this, now = model.get("now");
    if (!now.words) return;
    set(this.sentence, { text: now.words, title: now.words });
    set(this.say, { text: `${now.words} ${now.more}` });
    set(this.evidence, { text: now.more });
    for (const [name, menu] of Object.entries(this.menus)) this.fillMenu(menu, now.options[name], now[name]);
    this.count(this.table.show(model.get("runs")));
    this.data_ = unpacked(model.get("charts"));
    this.charts.forEach((chart, i) => {
      const [title, unit] = this.titles[i], data = this.data_[i];
      set(title, { text: data?.title ?? "" });
      set(unit, { text: data?.unit ?? "" });
      chart.show(data, { end: now.end, pauses: [], switch: null });
      chart.clock(this.at ?? now.end);
    });
    this.fillHtml(this.comparison, model.get("comparison"));
    this.fillHtml(this.data, model.get("tables"));
    this.fillHtml(this.failure, now.failure);
    set(this.data, { hidden: !now.open });
    set(this.fold, { "aria-expanded": String(!!now.open), "aria-controls": this.data.id });
  }

  fillMenu(menu, options, chosen) {
    const made = JSON.stringify(options);
    if (menu.made !== made) {
      menu.made = made;
      menu.replaceChildren(...options.map(([value, words]) => html("option", { value }, words)));
    }
    if (menu.value !== chosen) menu.value = chosen;
  }

  fillHtml(element, made) {
    if (element.made !== made) element.innerHTML = element.made = made; // its author has escaped text from outside
  }

  look(at) {
    const end = this.model.get("now").end;
    this.at = at === null || at === undefined ? null : clamp(Math.round(at), 0, end);
    for (const chart of this.charts) chart.clock(this.at ?? end);
    const said = this.at === null ? [] : this.data_.map((chart) => chart.traces.map((trace) => { const i = before(trace.x, this.at); return i < 0 ? null : `${trace.label} ${trace.y[i].toFixed(3)}`; }).filter(Boolean).join(", "));
    set(this.values, { text: this.at === null ? "" : `Epoch ${this.at}. ${said.filter(Boolean).join(" · ")}` });
  }

  key(event) {
    const end = this.model.get("now").end, at = this.at ?? end, to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: end }[event.key];
    if (to !== undefined) this.look(to);
    else if (event.key === "Escape") this.look(null);
    else return;
    event.preventDefault();
  }
}

export default {
  render({ model, el }) {
    const page = new RunPage(model, el);
    el.mmpidRuns = page;
    return () => page.dispose();
  },
};
