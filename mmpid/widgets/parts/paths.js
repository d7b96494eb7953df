// From marks to the paths of an SVG: scales, shapes, and the text of a point. Nothing here touches the page; plot.py puts
// these lines before those of plot.js, because a widget sends a single module to the browser.

/** A function from values to pixels, with its inverse. */
function scale(axis, from, to) {
  const bend = axis.log ? Math.log : (v) => v;
  const low = bend(axis.low), width = bend(axis.high) - low || 1;
  const place = (value) => from + ((bend(value) - low) / width) * (to - from);
  return place;
}

const round = (pixel) => Math.round(10 * pixel) / 10;

/** Points in pixels, without those that have no position (a logarithm of zero). */
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
    Array.from(boxes(mark, at), (box) => `M${box.left} ${box.bottom}V${box.top}H${box.right}V${box.bottom}Z`).join(""),
  upright: (mark, at) => `M${round(at.x(mark.at))} ${at.top}V${at.bottom}`,
};

function* boxes(mark, at) {
  for (const [x, top, i] of places(mark.x, mark.y, at)) {
    const half = Math.abs(at.x(mark.x[i] + mark.width / 2) - x);
    yield { left: round(x - half), right: round(x + half), top, bottom: at.bottom, x, i };
  }
}

/** Turn positions in the single array of numbers into arrays. */
function unpack(scene) {
  const bytes = scene.numbers;
  const copy = bytes ? bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) : new ArrayBuffer(0);
  const numbers = new Float32Array(copy), marks = [];
  for (const mark of scene.marks ?? []) {
    const own = { ...mark };
    for (const [name, [start, length]] of Object.entries(mark.arrays)) {
      own[name] = numbers.subarray(start, start + length);
    }
    marks.push(own);
  }
  return marks;
}

const short = (value, digits) => (digits == null ? String(Number(value.toPrecision(3))) : value.toFixed(digits));
const plain = (value) => String(Number(value.toPrecision(6))); // the digits of single precision

/** The text of a point: its own words, or its name, value, interval and position. */
function words(mark, i) {
  if (mark.says?.[i]) return mark.says[i];
  const interval = mark.low ? ` [${mark.low[i].toFixed(2)}, ${mark.high[i].toFixed(2)}]` : "";
  return `${mark.name}: ${short(mark.y[i], mark.digits)}${interval} ${mark.where} ${plain(mark.x[i])}`;
}
