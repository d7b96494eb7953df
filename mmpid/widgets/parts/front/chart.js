// One chart against the epoch: areas or curves, events, and a line at the clock. New data redraw it; the clock only
// moves one group and the edge between the past and what came later.

const DASHES = { solid: null, dashed: "7 3", dotted: "2 3", dashdot: "8 3 2 3" };

/** Hatches of a drawing; each drawing has its own names, because a name is valid for the whole page. */
function hatches(id) {
  const pattern = (name, d, look) => svg("pattern", { id: `${id}-${name}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("path", { d, ...look }));
  return svg("defs", {}, pattern("maybe", "M0 0V6", { class: "mmpid-hatch" }), pattern("pause", "M0 0V6", { class: "mmpid-hatch faint" }),
    svg("clipPath", { id: `${id}-then` }, svg("rect", { class: "then" })), svg("clipPath", { id: `${id}-later` }, svg("rect", { class: "later" })));
}

class EpochChart {
  /**
   * `name` tells charts apart, `label` is read aloud; `box` draws a box up to the limits, `percent` a scale of 0 to 100,
   * `ends` writes values beside the curves, `column` the present parts as a column; `small` has few ticks.
   */
  constructor({ name, label, box = false, percent = false, ends = false, column = false, small = false, onlook, onmove, onkey }) {
    Object.assign(this, { name, box, percent, ends, column, small, onlook, onmove });
    this.id = freshId(name);
    this.marks = svg("g", { id: `${this.id}-marks` });
    this.ground = svg("g");
    this.then = svg("g", { "clip-path": `url(#${this.id}-then)` }, this.marks);
    this.later = svg("use", { href: `#${this.id}-marks`, class: "mmpid-later", "clip-path": `url(#${this.id}-later)` });
    this.frame = svg("g");
    this.under = svg("g");
    this.over = svg("g", { class: "mmpid-clock" });
    this.svg = svg("svg", { "aria-hidden": "true" }, hatches(this.id), this.ground, this.under, this.later, this.then, this.frame, this.over);
    this.empty = html("p", { class: "mmpid-blank" });
    this.root = html("div", { class: `mmpid-graph mmpid-graph-${name}`, tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-label": label }, this.svg, this.empty);
    this.data = null;
    this.context = { end: 1, pauses: [], switch: null };
    this.listen(onkey);
  }

  listen(onkey) {
    const at = (event) => this.X?.invert(event.clientX - this.svg.getBoundingClientRect().left);
    this.root.addEventListener("pointermove", (event) => {
      if (this.held) this.onmove?.(at(event));
      else this.onlook?.(at(event));
    });
    this.root.addEventListener("pointerleave", () => this.held || this.onlook?.(null));
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button || !this.onmove || event.target.closest("[data-handle]")) return;
      this.held = true;
      this.root.setPointerCapture(event.pointerId);
      this.onmove(at(event));
    });
    const release = () => { this.held = false; };
    for (const name of ["pointerup", "pointercancel"]) this.root.addEventListener(name, release);
    if (onkey) this.root.addEventListener("keydown", onkey);
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.root);
  }

  dispose() {
    this.size.disconnect();
  }

  /** Update the data or the events around them. */
  show(data, context) {
    this.data = data ?? this.data;
    this.context = context;
    this.draw();
  }

  get limits() {
    const { data } = this;
    if (data?.limits) return data.limits;
    const all = (data ? [...data.traces, ...data.ghosts ?? []] : []).flatMap((one) => [one.y, one.low, one.high].filter(Boolean).flatMap((part) => [...part]));
    if (data?.band) all.push(...data.band.low, ...data.band.high);
    const finite = all.filter(Number.isFinite), top = Math.max(0, ...finite), bottom = Math.min(0, ...finite);
    const steps = ticks(bottom, top || 1, 4);
    const gap = (steps[1] ?? steps[0] + 1) - steps[0];
    return [bottom < 0 ? Math.floor(bottom / gap) * gap : 0, Math.ceil((top || 1) / gap - 1e-9) * gap];
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (!width || !height) return;
    const right = this.ends ? (width < 260 ? 78 : 96) : this.column ? 34 : this.small ? 6 : 10;
    const edge = { left: this.percent ? 28 : !this.box ? 36 : this.small ? 2 : 24, right: width - right, top: 6, bottom: height - (this.small ? 18 : 20) };
    const [low, high] = this.limits;
    this.edge = edge;
    this.X = scale(0, this.context.end, edge.left, edge.right);
    this.Y = scale(low, high, edge.bottom, edge.top);
    set(this.svg, { viewBox: `0 0 ${width} ${height}` });
    this.drawGround(low, high);
    this.drawMarks();
    this.drawHappened();
    const nothing = !this.data || ![...this.data.areas, ...this.data.traces].some((one) => one.x.length);
    set(this.empty, { text: nothing ? this.data?.empty ?? "" : "", hidden: !nothing });
    this.clock(this.at ?? this.context.end);
  }

  drawGround(low, high) {
    const { left, right, top, bottom } = this.edge, parts = [];
    if (this.box) parts.push(svg("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "mmpid-box" }));
    const levels = this.small ? [] : ticks(low, high, 4);
    for (const level of levels) {
      const y = pixel(this.Y(level));
      parts.push(svg("path", { d: this.box ? `M${left - 4} ${y}H${left}` : `M${left} ${y}H${right}`, class: "mmpid-grid" }));
      const words = this.percent ? Math.round(100 * level) : Number(level.toPrecision(6));
      parts.push(svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, String(words)));
    }
    const most = Math.max(2, Math.floor((right - left) / 46));
    const named = !this.small && right - left > 150, room = 56; // the width of "epoch 0" on the axis
    ticks(0, this.context.end, most, true).forEach((epoch, i) => {
      const first = i === 0 && named, x = pixel(this.X(epoch));
      if (named && i > 0 && x < left + room) return;
      const anchor = first ? "start" : this.small && i === 0 ? "start" : epoch === this.context.end ? "end" : "middle";
      parts.push(svg("text", { x: first ? x - 3 : epoch === this.context.end ? x + 6 : x, y: bottom + 14, "text-anchor": anchor }, first ? `epoch ${epoch}` : String(epoch)));
    });
    if (!this.box) parts.push(svg("path", { d: `M${left} ${bottom}H${right}`, class: "mmpid-grid strong" }));
    this.ground.replaceChildren(...parts);
  }

  drawMarks() {
    const { X, Y, data, id } = this, parts = [];
    for (const area of data?.areas ?? []) {
      const d = region(area.x, area.low, area.high, X, Y);
      if (area.role === "missing") continue;
      parts.push(svg("path", { d, class: "mmpid-area", fill: area.sure ? `var(--${area.role}-area)` : `url(#${id}-maybe)`, "data-key": area.key }));
      const thin = area.role === "together";
      parts.push(svg("path", { d: curve(area.x, area.high, X, Y), class: `mmpid-line ${thin ? "thin" : "edge"}`, stroke: thin ? "var(--average-line)" : `var(--${this.roleOf(area)}-line)`, "stroke-dasharray": thin ? "3 2" : null }));
    }
    if (data?.band) parts.push(svg("path", { d: region(data.band.x, data.band.low, data.band.high, X, Y), fill: `url(#${id}-maybe)`, class: "mmpid-area" }));
    for (const trace of data?.traces ?? []) {
      if (trace.low) parts.push(svg("path", { d: region(trace.x, trace.low, trace.high, X, Y), fill: `var(--${trace.role}-line)`, class: "mmpid-interval" }));
    }
    for (const trace of data?.ghosts ?? []) parts.push(this.line(trace, "ghost", "1 4"));
    for (const run of data?.others ?? []) for (const trace of run.traces) parts.push(this.line(trace, "other", "4 3"));
    for (const trace of data?.traces ?? []) parts.push(this.line(trace, trace.role === "joint" ? "strong" : "", DASHES[trace.dash]));
    this.marks.replaceChildren(...parts);
  }

  /** In a small box everything has the color of its encoder. */
  roleOf(one) {
    return this.small && this.box ? this.data.areas[0].role : one.role;
  }

  line(trace, kind, dash) {
    const dots = trace.x.length === 1 && !kind;
    return svg("path", { d: dots ? `M${pixel(this.X(trace.x[0]))} ${pixel(this.Y(trace.y[0]))}h.1` : curve(trace.x, trace.y, this.X, this.Y), class: `mmpid-line ${kind} ${dots ? "dot" : ""}`, stroke: `var(--${trace.role}-line)`, "stroke-dasharray": dots ? null : dash, "data-key": trace.key, "data-points": trace.x.length });
  }

  /** Pauses as bands, the start of stage 2 as a line with its name. */
  drawHappened() {
    const { left, right, top, bottom } = this.edge, { X } = this, { pauses, switch: joint, end } = this.context, parts = [];
    if (joint !== null && joint !== undefined && joint < end) {
      parts.push(svg("path", { d: `M${pixel(X(joint))} ${top}V${bottom}`, class: "mmpid-switch" }));
      if (!this.small && !this.ends) {
        const fits = right - X(joint) > 76;
        parts.push(svg("text", { x: X(joint) + (fits ? 5 : -5), y: top + 14, class: "mmpid-event joint", "text-anchor": fits ? "start" : "end" }, "stage 2: joint"));
      }
    }
    const stage2 = joint !== null && joint !== undefined && joint < end && !this.box;
    this.under.replaceChildren(...(stage2 ? [svg("rect", { x: X(joint), y: top, width: Math.max(right - X(joint), 0), height: bottom - top, class: "mmpid-stage2" })] : []));
    const said = !this.small && !this.ends && joint !== null && joint !== undefined && joint < end, side = right - X(joint ?? 0) > 76 ? 38 : -38;
    let taken = -99;
    for (const pause of pauses) {
      const from = X(pause.from), to = Math.max(X(pause.to), from + 2);
      parts.push(svg("rect", { x: from, y: top, width: to - from, height: bottom - top, fill: `url(#${this.id}-pause)`, class: "mmpid-pause" }));
      const middle = clamp((from + to) / 2, left + 42, right - 42), words = `${pause.who} paused`;
      if (this.box && !this.small && middle - taken > 96 && words.length < 22 && !(said && Math.abs(X(joint) + side - middle) < 36 + 3.2 * words.length)) {
        parts.push(svg("text", { x: middle, y: top + 14, class: "mmpid-event", "text-anchor": "middle" }, words));
        taken = middle;
      }
    }
    this.frame.replaceChildren(...parts);
  }

  /** Move the clock to an epoch. */
  clock(at) {
    this.at = at;
    if (!this.X || !this.data) return;
    const { left, right, top, bottom } = this.edge, x = pixel(clamp(this.X(at), left, right));
    const [then, later] = ["then", "later"].map((name) => this.svg.querySelector(`rect.${name}`));
    set(then, { x: left - 6, y: 0, width: Math.max(x - left + 6, 0), height: bottom + 2 });
    set(later, { x, y: 0, width: Math.max(right + 6 - x, 0), height: bottom + 2 });
    const parts = [svg("path", { d: `M${x} ${top}V${bottom}`, class: "mmpid-now" })];
    const labels = [];
    for (const one of this.data.areas.length ? this.data.areas.filter((area) => !["missing", "together"].includes(area.role)) : this.data.traces) {
      const i = before(one.x, at), y = i < 0 ? NaN : (one.y ?? one.high)[i];
      if (!Number.isFinite(y) || (!this.data.areas.length && one.x.length && at - one.x[i] > Math.max(2, this.context.end / 10))) continue;
      parts.push(svg("circle", { cx: pixel(this.X(one.x[i])), cy: pixel(this.Y(y)), r: 3.5, class: "mmpid-dot", fill: `var(--${this.roleOf(one)}-line)` }));
      if (this.ends) labels.push({ y: this.Y(y), at: this.Y(y), role: one.role, words: `${Math.round(100 * y)} ${one.label.replace(" (ens)", "")}` });
    }
    if (this.ends && this.percent) parts.push(...this.endLabels(labels, x));
    if (this.column) parts.push(...this.drawColumn(at));
    this.over.replaceChildren(...parts);
  }

  endLabels(labels, x) {
    spread(labels, 16, this.edge.top + 6, this.edge.bottom - 4);
    const room = this.svg.viewBox.baseVal.width - x - 16, letters = Math.floor(room / 7.2);
    return labels.flatMap((one) => [
      Math.abs(one.place - one.at) > 3 ? svg("path", { d: `M${x + 4} ${pixel(one.at)}L${x + 10} ${pixel(one.place)}`, class: "mmpid-lead", stroke: `var(--${one.role}-line)` }) : null,
      svg("text", { x: x + 12, y: pixel(one.place + 4), class: "mmpid-end", style: `fill: var(--${one.role}-text)` }, one.words.length > letters ? `${one.words.slice(0, Math.max(letters - 1, 4))}…` : one.words),
    ].filter(Boolean));
  }

  /** The parts at the clock as a column, each with its own interval, from 0 up as the readouts say it. */
  drawColumn(at) {
    const left = this.edge.right + 10, width = 18, parts = [svg("rect", { x: left, y: this.edge.top, width, height: this.edge.bottom - this.edge.top, class: "mmpid-box" })];
    this.middles = {};
    for (const area of this.data.areas) {
      const i = before(area.x, at);
      if (i < 0) continue;
      const [top, bottom] = [this.Y(area.high[i]), this.Y(area.low[i])];
      this.middles[area.key] = (top + bottom) / 2;
      if (area.role !== "missing") parts.push(svg("rect", { x: left, y: pixel(top), width, height: pixel(Math.max(bottom - top, 0)), fill: area.sure ? `var(--${area.role}-area)` : `url(#${this.id}-maybe)` }));
    }
    (this.whiskers?.(at) ?? []).forEach(({ key, low, high, value }, i) => {
      const area = this.data.areas.find((one) => one.key === key), k = area ? before(area.x, at) : -1;
      if (k < 0) return;
      const edge = area.high[k], x = left + 5 + 4 * i, from = this.Y(edge + (high - value)), to = this.Y(edge - (value - Math.max(low, 0)));
      parts.push(svg("path", { d: `M${x} ${pixel(Math.max(from, 0))}V${pixel(to)}M${x - 2} ${pixel(Math.max(from, 0))}h4M${x - 2} ${pixel(to)}h4`, class: "mmpid-whisker" }));
    });
    return parts;
  }
}
