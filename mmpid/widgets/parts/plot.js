// Draws what mmpid/widgets/parts/plot.py sends: axes and marks, as paths of one SVG. A message changes the paths that
// differ and nothing else; there are no transitions, so an update costs one frame. The mouse is answered here, without
// the kernel, which hears only of clicks on points and of handles that are dragged.

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

/** A function from values to pixels, with its inverse. */
function scale(axis, from, to) {
  const bend = axis.log ? Math.log : (v) => v;
  const low = bend(axis.low), width = bend(axis.high) - low || 1;
  const place = (value) => from + ((bend(value) - low) / width) * (to - from);
  place.invert = (pixel) => {
    const value = low + ((pixel - from) / (to - from)) * width;
    return Math.min(Math.max(axis.log ? Math.exp(value) : value, axis.low), axis.high);
  };
  return place;
}

const round = (pixel) => Math.round(10 * pixel) / 10;

/** Points in pixels, without those that have no place (a logarithm of zero). */
function* places(x, y, at) {
  for (let i = 0; i < x.length; i++) {
    const px = round(at.x(x[i])), py = round(at.y(y[i]));
    if (Number.isFinite(px) && Number.isFinite(py)) yield [px, py, i];
  }
}

const walk = (points) => Array.from(points, ([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("");

const SIGNS = {
  circle: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  square: (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`,
  diamond: (x, y, r) => `M${x} ${y - 1.3 * r}l${1.1 * r} ${1.3 * r}l${-1.1 * r} ${1.3 * r}l${-1.1 * r} ${-1.3 * r}Z`,
  triangle: (x, y, r) => `M${x} ${y - 1.1 * r}l${1.15 * r} ${2.1 * r}h${-2.3 * r}Z`,
  cross: (x, y, r) => {
    const a = round(r / 3), b = round(r - r / 3);
    return `M${x - a} ${y - a - b}h${2 * a}v${b}h${b}v${2 * a}h${-b}v${b}h${-2 * a}v${-b}h${-b}v${-2 * a}h${b}Z`;
  },
};

/** The path of each kind of mark. */
const PATHS = {
  line: (mark, at) => walk(places(mark.x, mark.y, at)),
  ribbon: (mark, at) => {
    const low = [...places(mark.x, mark.low, at)], high = [...places(mark.x, mark.high, at)];
    return low.length ? `${walk([...low, ...high.reverse()])}Z` : "";
  },
  points: (mark, at) =>
    Array.from(places(mark.x, mark.y, at), ([x, y]) => SIGNS[mark.sign](x, y, mark.size)).join(""),
  bars: (mark, at) =>
    Array.from(boxes(mark, at), ({ left, right, top, bottom }) => `M${left} ${bottom}V${top}H${right}V${bottom}Z`).join(""),
  upright: (mark, at) => `M${round(at.x(mark.at))} ${at.top}V${at.bottom}`,
  level: (mark, at) => `M${at.left} ${round(at.y(mark.at))}H${at.right}`,
  handle: (mark, at) => SIGNS.diamond(round(at.x(mark.x)), round(at.y(mark.y)), 6.5),
};

function* boxes(mark, at) {
  for (const [x, top, i] of places(mark.x, mark.y, at)) {
    const half = Math.abs(at.x(mark.x[i] + mark.width / 2) - x);
    yield { left: round(x - half), right: round(x + half), top, bottom: at.bottom, x, i };
  }
}

/** Turn places in the one array of numbers into arrays. */
function unpack(scene) {
  const bytes = scene.numbers;
  const copy = bytes ? bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) : new ArrayBuffer(0);
  const numbers = new Float32Array(copy), marks = [];
  for (const mark of scene.marks ?? []) {
    const own = { ...mark };
    for (const [name, [start, length]] of Object.entries(mark.arrays)) own[name] = numbers.subarray(start, start + length);
    marks.push(own);
  }
  return marks;
}

const short = (value, digits) => (digits == null ? String(Number(value.toPrecision(3))) : value.toFixed(digits));
const plain = (value) => String(Number(value.toPrecision(6))); // single precision has no more

/** What a point says: words of its own, or its name, value, interval and place. */
function words(mark, i) {
  if (mark.says?.[i]) return mark.says[i];
  const interval = mark.low ? ` [${mark.low[i].toFixed(2)}, ${mark.high[i].toFixed(2)}]` : "";
  return `${mark.name}: ${short(mark.y[i], mark.digits)}${interval} ${mark.where} ${plain(mark.x[i])}`;
}

class Plot {
  constructor(model, el) {
    this.model = model;
    this.root = division(el, "mmpid-plot");
    this.legend = division(this.root, "mmpid-plot-legend");
    this.box = division(this.root, "mmpid-plot-box");
    Object.assign(this.box, { tabIndex: 0 });
    // with this, the keys that move along a chart are not the notebook's commands
    set(this.box, { role: "group", "data-lm-suppress-shortcuts": "true", "aria-roledescription": "chart" });
    this.svg = create(this.box, "svg", { "aria-hidden": "true" });
    this.axes = create(this.svg, "g");
    this.marks = create(this.svg, "g", { class: "marks" });
    this.here = create(this.svg, "circle", { class: "mmpid-here", r: 4.5, visibility: "hidden" });
    this.empty = division(this.box, "mmpid-empty");
    this.tip = division(this.box, "mmpid-tip");
    set(this.tip, { role: "status" });
    this.paths = new Map();
    this.listen();
  }

  listen() {
    const redraw = () => this.draw();
    const heard = { "change:scene": () => this.take(), "change:guests": redraw };
    for (const [event, answer] of Object.entries(heard)) this.model.on(event, answer);
    const size = new ResizeObserver(redraw);
    size.observe(this.box);
    const mouse = {
      pointermove: (e) => (this.grip ? this.drag(e) : this.look(e)), pointerleave: () => this.grip || this.read(null),
      pointerdown: (e) => this.grab(e), pointerup: (e) => this.release(e), pointercancel: (e) => this.release(e),
      click: (e) => this.choose(this.nearest(e)), keydown: (e) => this.key(e), blur: () => this.read(null),
    };
    for (const [event, answer] of Object.entries(mouse)) this.box.addEventListener(event, answer);
    this.dispose = () => {
      size.disconnect();
      for (const [event, answer] of Object.entries(heard)) this.model.off(event, answer);
    };
    this.take();
  }

  /** Take a new scene over and draw it. */
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
    const guests = this.model.get("guests"), order = [...this.drawn, ...guests], seen = new Set();
    for (const mark of order) seen.add(mark.key) && this.drawMark(mark);
    for (const [key, path] of this.paths) if (!seen.has(key)) this.paths.delete(key) && path.remove();
    order.forEach(({ key }, i) => {
      const path = this.paths.get(key);
      if (this.marks.children[i] !== path) this.marks.insertBefore(path, this.marks.children[i] ?? null);
    });
    if (this.reading) this.read(this.found(this.reading.mark.key, this.reading.i), this.reading.many);
  }

  drawMark(mark) {
    if (!this.paths.has(mark.key)) this.paths.set(mark.key, create(this.marks, "path", { "vector-effect": "none" }));
    const held = this.grip?.key === mark.key ? { ...mark, ...this.grip.place } : mark;
    set(this.paths.get(mark.key), {
      class: mark.kind, d: PATHS[mark.kind](held, this.at), fill: mark.fill ?? "none", stroke: mark.stroke ?? "none",
      "stroke-width": mark.thick ?? 0, "stroke-dasharray": mark.dash ?? "", opacity: mark.opacity ?? 1,
      "data-key": mark.key, "data-points": mark.x?.length ?? 1, ...(mark.along ? { "data-along": mark.along } : {}),
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
    const ups = y.ticks.map((value) => round(this.at.y(value))), across = x.ticks.map((value) => round(this.at.x(value)));
    line(ups.map((py) => `M${left} ${py}H${right}`).join(""), "grid");
    line(`M${left} ${top}V${bottom}H${right}${across.map((px) => `M${px} ${bottom}v4`).join("")}`, "rule");
    const [below, beside] = ["x", "y"].map((name) => create(this.axes, "g", { class: `axis axis-${name}` }));
    across.forEach((px, i) => text(below, x.texts[i], { x: px, y: bottom + 16, "text-anchor": "middle" }));
    ups.forEach((py, i) => text(beside, y.texts[i], { x: left - 7, y: py + 4, "text-anchor": "end" }));
    const [middle, centre] = [(left + right) / 2, (top + bottom) / 2];
    if (x.label) text(this.axes, x.label, { x: middle, y: height - 7, "text-anchor": "middle" }, "axislabel");
    const turned = { transform: `translate(13 ${centre}) rotate(-90)`, "text-anchor": "middle" };
    if (y.label) text(this.axes, y.label, turned, "axislabel");
  }

  /** All points that can be read, in pixels. */
  *readable() {
    for (const mark of this.drawn ?? []) {
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

  nearest(event) {
    if (!this.at) return null;
    const corner = this.svg.getBoundingClientRect(), [mx, my] = [event.clientX - corner.left, event.clientY - corner.top];
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
    const point = this.nearest(event);
    this.box.style.cursor = point?.mark.click ? "pointer" : "";
    this.read(point);
  }

  /** Show what a point says; with `many`, what all marks say at its place. */
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
    const above = point.py < height / 2 ? `top: ${Math.max(point.py - 10, 2)}px` : `bottom: ${height - point.py - 10}px`;
    set(this.tip, { style: `${side}; ${above}` });
  }

  choose(point) {
    if (point?.mark.click) this.model.send({ event: "click", x: point.mark.x[point.i] });
  }

  key(event) {
    const points = [...this.readable()].sort((a, b) => a.px - b.px);
    const stops = points.filter((p, i) => !i || p.px !== points[i - 1].px);
    if (!stops.length) return;
    const now = this.reading && this.found(this.reading.mark.key, this.reading.i);
    const index = now ? stops.findIndex((p) => p.px === now.px) : -1, last = stops.length - 1;
    const next = { ArrowRight: Math.min(index + 1, last), ArrowLeft: index < 0 ? last : Math.max(index - 1, 0), Home: 0, End: last };
    if (event.key in next) this.read(stops[next[event.key]], true);
    else if (event.key === "Escape") this.read(null);
    else if (event.key === "Enter" && now) this.choose(now);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  grab(event) {
    const { key, along } = event.target.dataset ?? {};
    if (!along) return;
    this.grip = { key, along };
    this.box.setPointerCapture(event.pointerId);
    this.read(null);
    event.preventDefault();
  }

  drag(event) {
    const corner = this.svg.getBoundingClientRect(), { key, along } = this.grip;
    const value = this.at[along].invert(along === "x" ? event.clientX - corner.left : event.clientY - corner.top);
    this.grip.place = { [along]: value };
    this.drawMark(this.model.get("guests").find((mark) => mark.key === key) ?? { key, kind: "line", x: [], y: [] });
    this.grip.waits ??= requestAnimationFrame(() => this.tell());
  }

  tell() {
    if (!this.grip?.place) return;
    this.grip.waits = undefined;
    this.model.send({ event: "drag", key: this.grip.key, ...this.grip.place });
  }

  release(event) {
    if (!this.grip) return;
    this.tell();
    this.grip = null;
    this.box.releasePointerCapture(event.pointerId);
    this.draw();
  }
}

export default {
  render({ model, el }) {
    const plot = new Plot(model, el);
    return () => plot.dispose();
  },
};
