// Under the charts: the strength of each encoder, class by class, and the tabs of the expert level.

/** Two curves and the area between them, as a thumbnail. */
class Stamp {
  constructor(setup) {
    this.setup = setup;
    this.title = html("b");
    this.word = html("span");
    this.numbers = html("div", { class: "mmpid-numbers" });
    this.svg = svg("svg", { "aria-hidden": "true" });
    this.root = html("div", { class: "mmpid-stamp", role: "img" }, html("div", { class: "mmpid-stamp-title" }, this.title, this.word), this.numbers, this.svg);
  }

  show(chart, title, end, top, at, numbers) {
    const width = this.svg.clientWidth || 60, height = 50, X = scale(0, end, 2, width - 3), Y = scale(0, top, height - 2, 4), parts = [];
    const [a, b] = chart.traces, latest = chart.traces.map((trace) => { const i = before(trace.x, at); return i < 0 ? NaN : trace.y[i]; });
    if (chart.traces.length === 2 && a.x.length === b.x.length) {
      for (const [over, under] of [[a, b], [b, a]]) {
        const low = under.y, high = over.y.map((y, i) => Math.max(y, under.y[i]));
        parts.push(svg("path", { d: region(a.x, low, high, X, Y), fill: `var(--${over.role}-area)` }));
      }
    }
    for (const trace of chart.traces) parts.push(svg("path", { d: curve(trace.x, trace.y, X, Y), class: "mmpid-line thin", stroke: `var(--${trace.role}-line)`, "stroke-dasharray": trace.dash === "solid" ? null : trace.dash === "dotted" ? "1.5 2" : "4 2" }));
    parts.push(svg("path", { d: `M0 ${height - 1}H${width}M${pixel(X(at))} 2V${height - 1}`, class: "mmpid-stamp-axis" }));
    chart.traces.forEach((trace, i) => Number.isFinite(latest[i]) && parts.push(svg("circle", { cx: X(at), cy: Y(latest[i]), r: 2.8, fill: `var(--${trace.role}-line)` })));
    set(this.svg, { viewBox: `0 0 ${width} ${height}`, height });
    this.svg.replaceChildren(...parts);
    const [most, second] = [...latest.keys()].sort((i, j) => latest[j] - latest[i]);
    const even = !(Math.abs(latest[most] - latest[second]) > 0.1 * Math.abs(latest[most]));
    const who = latest.length && latest.every(Number.isFinite) ? (even ? "even" : this.setup.modalities[most]) : "";
    set(this.title, { text: title });
    set(this.word, { text: who, style: even ? null : `color: var(--m${most % 6}-text)` });
    set(this.root, { "aria-label": `${title}: ${chart.traces.map((trace, i) => `${trace.label} ${Number.isFinite(latest[i]) ? latest[i].toFixed(1) : "not measured"}`).join(", ")}` });
    this.numbers.replaceChildren(...(numbers ? chart.traces.map((trace, i) => html("span", { style: `color: var(--${trace.role}-text)` }, Number.isFinite(latest[i]) ? latest[i].toFixed(1) : "–")) : []));
  }
}

const TABS = { strength: "Strength", decisions: "Decisions", findings: "What stands out", runs: "Runs", rates: "Learning rates", tables: "Tables" };
const MOST_CLASSES = 10;

class Lower {
  constructor(board) {
    this.board = board;
    const { setup } = board;
    this.stamps = [];
    const dashes = ["dashed", "dotted"].map((dash, i) => setup.modalities[i] && `${dash}: ${setup.modalities[i]}`).filter(Boolean).join(", ");
    this.head = html("div", { class: "mmpid-chart-head" }, html("h3", {}, "How strongly each encoder pulls, class by class"), html("span", { class: "mmpid-quiet" }, `${dashes}; shaded where one is ahead`));
    this.grid = html("div", { class: "mmpid-stamps" });
    this.heat = html("div", { class: "mmpid-heat", tabindex: 0, role: "region", "aria-label": "Strength by class" });
    this.panel = html("div", { class: "mmpid-panel", role: "tabpanel", tabindex: 0, id: freshId("panel") });
    this.proxy = html("select", { class: "mmpid-select small", "aria-label": "Measured by", title: "Which recorded proxy for strength to draw" });
    this.proxy.addEventListener("change", () => board.send({ do: "proxy", name: this.proxy.value }));
    this.tabs = html("div", { class: "mmpid-tabs", role: "tablist", "aria-label": "Details" });
    for (const [name, words] of Object.entries(TABS)) {
      const count = html("span", { class: "mmpid-quiet" });
      const tab = html("button", { type: "button", role: "tab", "aria-controls": this.panel.id, class: "mmpid-tab" }, words, count);
      tab.addEventListener("click", () => board.openTab(name));
      this.tabs.append(Object.assign(tab, { tabName: name, count }));
    }
    this.tabs.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], all = [...this.tabs.children], i = all.indexOf(event.target);
      if (!step || i < 0) return;
      const next = all[(i + step + all.length) % all.length];
      next.focus();
      next.click();
      event.preventDefault();
      event.stopPropagation();
    });
    this.tools = html("div", { class: "mmpid-tabrow" }, this.tabs, html("label", { class: "mmpid-proxy" }, "Measured by ", this.proxy));
    this.root = html("section", { class: "mmpid-lower", "aria-label": "Details" }, this.head, this.tools, this.grid, this.heat, this.panel);
  }

  show(now, strength, panel, view) {
    const { expert, tab, at } = view, many = this.board.many, shown = expert ? tab : "strength";
    set(this.root, { hidden: many && !expert });
    set(this.head, { hidden: expert });
    set(this.tools, { hidden: !expert });
    for (const one of this.tabs.children) {
      const chosen = one.tabName === tab, n = { decisions: now.counts.decisions, findings: now.counts.findings, runs: now.runs.length }[one.tabName];
      set(one, { "aria-selected": String(chosen), tabindex: chosen ? 0 : -1 });
      set(one.count, { text: n === undefined ? "" : ` ${n}` });
    }
    set(this.grid, { hidden: shown !== "strength" || many });
    set(this.heat, { hidden: shown !== "strength" || !many });
    set(this.panel, { hidden: shown === "strength" });
    if (shown === "strength") this.showStrength(strength, now, at, expert, many);
    else this.showPanel(shown, panel, now);
  }

  showStrength(strength, now, at, expert, many) {
    const proxies = strength?.proxies ?? [], known = proxies.join();
    if (this.proxies !== known) {
      this.proxies = known;
      this.proxy.replaceChildren(...proxies.map((name) => html("option", { value: name }, `${name} (own unit)`)));
    }
    if (strength?.proxy && this.proxy.value !== strength.proxy) this.proxy.value = strength.proxy;
    const [overall, ...classes] = strength?.charts ?? [];
    if (!overall) return;
    const few = classes.length <= MOST_CLASSES ? classes : [...classes].sort((a, b) => gap(b) - gap(a)).slice(0, MOST_CLASSES);
    if (many) return this.showHeat(classes, at);
    const all = [overall, ...few], top = Math.max(1e-9, ...all.flatMap((chart) => chart.traces.flatMap((trace) => [...trace.y])).filter(Number.isFinite)) * 1.05;
    const names = ["all classes", ...(few.length ? few.map((chart) => chart.title) : this.board.setup.classes.slice(0, MOST_CLASSES))];
    while (this.stamps.length < names.length) this.stamps.push(new Stamp(this.board.setup));
    if (this.grid.childElementCount !== names.length) {
      this.grid.replaceChildren(...this.stamps.slice(0, names.length).map((stamp) => stamp.root));
      this.grid.style.setProperty("--classes", names.length - 1);
    }
    const blank = { traces: [] };
    names.forEach((name, i) => this.stamps[i].show(all[i] ?? blank, name, now.end, top, at, expert));
  }

  /** Many encoders: a table of the strengths at the clock, with a stronger color for a larger number. */
  showHeat(classes, at) {
    const names = this.board.setup.modalities, few = classes.slice(0, 12);
    const value = (chart, k) => { const trace = chart.traces[k], i = trace ? before(trace.x, at) : -1; return i < 0 ? NaN : trace.y[i]; };
    const top = Math.max(1e-9, ...few.flatMap((chart) => names.map((_, k) => Math.abs(value(chart, k)))).filter(Number.isFinite));
    const head = `<tr><th scope="col">class</th>${few.map((chart) => `<th scope="col">${escaped(chart.title)}</th>`).join("")}</tr>`;
    const rows = names.map((name, k) => `<tr><th scope="row">${escaped(name)}</th>${few.map((chart) => {
      const v = value(chart, k), share = Number.isFinite(v) ? Math.round(70 * Math.abs(v) / top) : 0;
      return `<td style="background: color-mix(in srgb, var(--m${k % 6}-area) ${share}%, transparent)">${Number.isFinite(v) ? v.toFixed(1) : "–"}</td>`;
    }).join("")}</tr>`);
    const made = `<table class="mmpid-table">${head}${rows.join("")}</table>`;
    if (this.heat.made !== made) this.heat.innerHTML = this.heat.made = made;
  }

  showPanel(tab, panel, now) {
    if (tab === "rates") return this.showRates(now);
    if (tab === "runs") return this.showRuns(panel, now);
    const made = panel?.name === tab ? panel.html : "";
    if (this.panel.made !== made) this.panel.innerHTML = this.panel.made = made;
  }

  showRates(now) {
    const { board } = this, names = [...board.setup.modalities, ...(now.stage === "joint" ? ["joint"] : [])], made = `rates ${names.join()}`;
    if (this.panel.made !== made) {
      this.panel.made = made;
      this.fields = Object.fromEntries(names.map((name) => {
        const field = html("input", { class: "mmpid-field", inputmode: "decimal", "aria-label": `Learning rate of ${name}`, placeholder: "as set" });
        field.addEventListener("change", () => board.send({ do: "rate", name, value: field.value }));
        return [name, field];
      }));
      this.panel.replaceChildren(html("div", { class: "mmpid-rates" }, names.map((name) => html("label", {}, name, this.fields[name]))));
    }
    for (const [name, field] of Object.entries(this.fields)) {
      const rate = now.rates[name] ?? "";
      if (field.inForce !== rate) field.value = field.inForce = rate;
      field.disabled = board.dead || now.state === "finished";
    }
  }

  showRuns(panel, now) {
    const { board } = this, body = panel?.name === "runs" ? panel.html : "", made = `runs ${JSON.stringify([now.runs, now.run])} ${body}`;
    if (this.panel.made === made || this.panel.contains(this.panel.getRootNode().activeElement) && this.panel.getRootNode().activeElement.matches("input[type=text]")) return;
    this.panel.made = made;
    const pick = html("select", { class: "mmpid-select small", "aria-label": "Run" }, now.runs.map((run) => html("option", { value: run.name, selected: run.name === now.run }, run.name)));
    pick.addEventListener("change", () => board.send({ do: "choose", name: pick.value }));
    const name = html("input", { type: "text", class: "mmpid-field wide", "aria-label": "Name of this run", value: now.run });
    name.addEventListener("change", () => board.send({ do: "rename", name: name.value }));
    const boxes = now.runs.filter((run) => run.name !== now.run).map((run) => {
      const box = html("input", { type: "checkbox", checked: run.shown });
      box.addEventListener("change", () => board.send({ do: "show", name: run.name, value: box.checked }));
      return html("label", {}, box, ` show ${run.name}`);
    });
    const table = html("div");
    table.innerHTML = body;
    this.panel.replaceChildren(html("div", { class: "mmpid-rates" }, html("label", {}, "Drive ", pick), html("label", {}, "Name ", name), boxes), table);
  }
}

/** How far the strongest encoder of a class is ahead at the end. */
function gap(chart) {
  const last = chart.traces.map((trace) => trace.y.at(-1) ?? 0);
  return Math.max(...last) - Math.min(...last);
}
