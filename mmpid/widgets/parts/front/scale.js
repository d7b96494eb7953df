// Numbers to pixels: scales, round ticks, paths, and what a message carries.

const pixel = (x) => Math.round(10 * x) / 10;
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

function scale(low, high, from, to) {
  const slope = (to - from) / (high - low || 1);
  const place = (value) => from + (value - low) * slope;
  place.invert = (at) => low + (at - from) / slope;
  return place;
}

/** Round numbers from low to high, at most `most` steps apart. */
function ticks(low, high, most, whole = false) {
  const raw = (high - low) / Math.max(most, 1) || 1, power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((k) => k >= raw * (1 - 1e-9)) ?? 10 * power;
  if (whole) step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((k) => k >= raw * (1 - 1e-9)) ?? Math.ceil(raw / 1000) * 1000;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** The path of a curve, without the points that are no number. */
function curve(x, y, X, Y) {
  let path = "", drawing = false;
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(y[i])) { drawing = false; continue; }
    path += `${drawing ? "L" : "M"}${pixel(X(x[i]))} ${pixel(Y(y[i]))}`;
    drawing = true;
  }
  return path;
}

/** The outline of the region between two curves; a single place gets a little width. */
function region(x, low, high, X, Y) {
  if (!x.length) return "";
  const dx = x.length === 1 ? 1.5 : 0, there = [], back = [];
  for (let i = 0; i < x.length; i++) {
    for (const d of dx ? [-dx, dx] : [0]) {
      there.push(`${pixel(X(x[i]) + d)} ${pixel(Y(high[i]))}`);
      back.unshift(`${pixel(X(x[i]) + d)} ${pixel(Y(low[i]))}`);
    }
  }
  return `M${there.join("L")}L${back.join("L")}Z`;
}

/** Index of the last x that is not beyond `at`; -1 before the first. */
function before(x, at) {
  let i = x.length - 1;
  while (i >= 0 && x[i] > at + 1e-6) i--;
  return i;
}

/** Move labels apart that would overlap, keeping their order. */
function spread(labels, gap, low, high) {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  sorted.forEach((one, i) => { one.place = Math.max(one.y, i ? sorted[i - 1].place + gap : low); });
  for (let i = sorted.length - 1, floor = high; i >= 0; i--, floor = sorted[i + 1].place - gap) {
    sorted[i].place = Math.min(sorted[i].place, floor);
  }
  return labels;
}

/** Charts of a message, with arrays in place of [start, length]. */
function unpacked(block) {
  const bytes = block?.numbers;
  if (!bytes) return [];
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength), numbers = new Float32Array(copy);
  const open = (part) => {
    const own = { ...part };
    for (const name of ["x", "y", "low", "high"]) {
      if (Array.isArray(part[name])) own[name] = numbers.subarray(part[name][0], part[name][0] + part[name][1]);
    }
    return own;
  };
  return block.charts.map((chart) => ({
    ...chart, areas: chart.areas.map(open), traces: chart.traces.map(open), band: chart.band && open(chart.band),
    ghosts: (chart.ghosts ?? []).map(open), others: (chart.others ?? []).map((run) => ({ ...run, traces: run.traces.map(open) })),
  }));
}

const two = (value) => (Math.abs(value) < 0.005 ? "0.00" : value.toFixed(2)).replace("-", "−");
const epochWords = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(1));
