// Draws what mmpid/widgets/parts/plot.py sends: axes and marks, as paths of one SVG. A message changes only the
// paths that differ; there are no transitions, so an update costs one frame. This script answers the mouse without the
// kernel.

const SVG = "http://www.w3.org/2000/svg";
const REACH = 24; // pixels from a point within which the mouse reads it

function create(parent, name, attributes = {}, space = SVG) {
  const made = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return parent.appendChild(made);
}

const division = (parent, name) => create(parent, "div", { class: name }, "http://www.w3.org/1999/xhtml");

/** Set the attributes that differ; reading them back from the page would cost more than remembering them. */
function set(element, attributes) {
  const known = (element.known ??= {});
  for (const [name, value] of Object.entries(attributes)) {
    if (known[name] === value) continue;
    known[name] = value;
    element.setAttribute(name, value);
  }
}

/** Keys pressed in a widget are never notebook commands; an attribute on it does not cover the elements inside. */
function keepKeys(widget) {
  if (!widget || widget.keepsKeys) return;
  widget.keepsKeys = true;
  widget.addEventListener("keydown", (event) => { if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation(); });
}

class Plot {
  constructor(model, el) {
    this.model = model;
    this.root = division(el, "mmpid-plot");
    this.legend = division(this.root, "mmpid-plot-legend");
    this.box = division(this.root, "mmpid-plot-box");
    set(this.box, { tabindex: 0 });
    set(this.box, { role: "group", "aria-roledescription": "chart" });
    this.svg = create(this.box, "svg", { "aria-hidden": "true" });
    this.axes = create(this.svg, "g");
    this.marks = create(this.svg, "g", { class: "marks" });
    this.here = create(this.svg, "circle", { class: "mmpid-here", r: 4.5, visibility: "hidden" });
    this.empty = division(this.box, "mmpid-empty");
    this.tip = division(this.box, "mmpid-tip");
    set(this.tip, { role: "status" });
    this.paths = new Map();
    this.listen();
    this.take();
  }

  listen() {
    const redraw = () => {
      keepKeys(this.box.closest(".mmpid-board"));
      this.draw();
    };
    const heard = { "change:scene": () => this.take() };
    for (const [event, answer] of Object.entries(heard)) this.model.on(event, answer);
    const size = new ResizeObserver(redraw);
    size.observe(this.box);
    const mouse = {
      pointermove: (e) => this.look(e), pointerleave: () => this.read(null),
      keydown: (e) => this.key(e), blur: () => this.read(null),
    };
    for (const [event, answer] of Object.entries(mouse)) this.box.addEventListener(event, answer);
    this.dispose = () => {
      size.disconnect();
      for (const [event, answer] of Object.entries(heard)) this.model.off(event, answer);
    };
  }

  /** Draw a new scene. */
  take() {
    this.scene = this.model.get("scene");
    this.drawn = unpack(this.scene);
    const { legend = "", empty = "", title = "" } = this.scene;
    if (this.legend.known !== legend) this.legend.innerHTML = this.legend.known = legend;
    if (this.empty.textContent !== empty) this.empty.textContent = empty;
    set(this.box, { "aria-label": `${title}. Left and right arrows read the values.` });
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!this.scene.x || !width || !height) return;
    const { x, y } = this.scene;
    const [left, right, top, bottom] = [this.scene.left ?? 56, width - 14, 8, height - (x.label ? 42 : 24)];
    this.at = { left, right, top, bottom, x: scale(x, left, right), y: scale(y, bottom, top) };
    const frame = JSON.stringify([x, y, width, height, left]);
    if (this.frame !== frame) this.drawAxes(width, height, (this.frame = frame));
    this.drawMarks(this.drawn);
    if (this.reading) this.read(this.found(this.reading.mark.key, this.reading.i), this.reading.many);
  }

  /** Draw marks, the last on top, and remove the paths of deleted ones. */
  drawMarks(order) {
    for (const mark of order) this.drawMark(mark);
    const keys = new Set(order.map((mark) => mark.key));
    for (const [key, path] of this.paths) {
      if (keys.has(key)) continue;
      path.remove();
      this.paths.delete(key);
    }
    order.forEach(({ key }, i) => {
      const path = this.paths.get(key), there = this.marks.children[i];
      if (there !== path) this.marks.insertBefore(path, there ?? null);
    });
  }

  drawMark(mark) {
    if (!this.paths.has(mark.key)) this.paths.set(mark.key, create(this.marks, "path"));
    set(this.paths.get(mark.key), {
      class: mark.kind, d: PATHS[mark.kind](mark, this.at), fill: mark.fill ?? "none", stroke: mark.stroke ?? "none",
      "stroke-width": mark.thick ?? 0, "stroke-dasharray": mark.dash ?? "", opacity: mark.opacity ?? 1,
      "data-key": mark.key, "data-points": mark.x?.length ?? 1,
    });
  }

  drawAxes(width, height) {
    const { left, right, top, bottom } = this.at, { x, y } = this.scene;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.axes.replaceChildren();
    const line = (d, name) => create(this.axes, "path", { d, class: name });
    const text = (group, words, place, name = "") => {
      create(group, "text", { ...place, class: name }).textContent = words;
    };
    const ups = y.ticks.map((value) => round(this.at.y(value)));
    const across = x.ticks.map((value) => round(this.at.x(value)));
    line(ups.map((py) => `M${left} ${py}H${right}`).join(""), "grid");
    line(`M${left} ${top}V${bottom}H${right}${across.map((px) => `M${px} ${bottom}v4`).join("")}`, "rule");
    const [below, beside] = ["x", "y"].map((name) => create(this.axes, "g", { class: `axis axis-${name}` }));
    across.forEach((px, i) => text(below, x.texts[i], { x: px, y: bottom + 16, "text-anchor": "middle" }));
    ups.forEach((py, i) => text(beside, y.texts[i], { x: left - 7, y: py + 4, "text-anchor": "end" }));
    const [middle, center] = [(left + right) / 2, (top + bottom) / 2];
    if (x.label) text(this.axes, x.label, { x: middle, y: height - 7, "text-anchor": "middle" }, "axislabel");
    const turned = { transform: `translate(13 ${center}) rotate(-90)`, "text-anchor": "middle" };
    if (y.label) text(this.axes, y.label, turned, "axislabel");
  }

  /** All points that can be read, in pixels. */
  *readable() {
    for (const mark of this.at ? this.drawn : []) {
      if (!mark.name && !mark.says) continue;
      const points = mark.kind === "bars" ? boxes(mark, this.at) : places(mark.x, mark.y, this.at);
      for (const point of points) {
        const [px, py, i] = Array.isArray(point) ? point : [point.x, point.top, point.i];
        yield { mark, i, px, py, box: Array.isArray(point) ? null : point };
      }
    }
  }

  found(key, i) {
    for (const point of this.readable()) if (point.mark.key === key && point.i === i) return point;
    return null;
  }

  /** Where an event is in the plot. */
  pixel(event) {
    const corner = this.svg.getBoundingClientRect();
    return [event.clientX - corner.left, event.clientY - corner.top];
  }

  nearest(event) {
    const [mx, my] = this.pixel(event);
    let best = null, shortest = REACH;
    for (const point of this.readable()) {
      const { px, py, box } = point;
      const within = box && mx >= box.left && mx <= box.right && my >= box.top - 6 && my <= box.bottom;
      const distance = box ? (within ? 0 : Infinity) : Math.hypot(px - mx, py - my);
      if (distance < shortest) [best, shortest] = [point, distance];
    }
    return best;
  }

  look(event) {
    this.read(this.nearest(event));
  }

  /** Show the text of a point; with `many`, the text of all marks at its position. */
  read(point, many = false) {
    if (!point && !this.reading) return;
    this.reading = point && { mark: point.mark, i: point.i, many };
    set(this.here, { visibility: point ? "visible" : "hidden" });
    set(this.tip, { style: point ? "" : "display: none" });
    if (!point) return;
    set(this.here, { cx: point.px, cy: point.py, fill: point.mark.tone });
    const x = point.mark.x[point.i], all = many ? [...this.readable()].filter((p) => p.mark.x[p.i] === x) : [point];
    const said = all.map((p) => words(p.mark, p.i)).join("\n");
    if (this.tip.textContent !== said) this.tip.textContent = said;
    const { clientWidth: width, clientHeight: height } = this.box;
    const side = point.px < width / 2 ? `left: ${point.px + 12}px` : `right: ${width - point.px + 12}px`;
    const upper = point.py < height / 2;
    const level = upper ? `top: ${Math.max(point.py - 10, 2)}px` : `bottom: ${height - point.py - 10}px`;
    set(this.tip, { style: `${side}; ${level}` });
  }

  key(event) {
    const points = [...this.readable()].sort((a, b) => a.px - b.px);
    const stops = points.filter((p, i) => !i || p.px !== points[i - 1].px);
    if (!stops.length) return;
    const now = this.reading && this.found(this.reading.mark.key, this.reading.i);
    const index = now ? stops.findIndex((p) => p.px === now.px) : -1, last = stops.length - 1;
    const back = index < 0 ? last : Math.max(index - 1, 0);
    const next = { ArrowRight: Math.min(index + 1, last), ArrowLeft: back, Home: 0, End: last };
    if (event.key in next) this.read(stops[next[event.key]], true);
    else if (event.key === "Escape") this.read(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

export default {
  render({ model, el }) {
    const plot = new Plot(model, el);
    return () => plot.dispose();
  },
};
