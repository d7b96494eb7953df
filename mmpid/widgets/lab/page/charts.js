// The four charts of the page, drawn as SVG in the colors of the board; each says in a sentence what it shows.

const WIDE = 520, TALL = 240, EDGE = { left: 44, right: WIDE - 12, top: 10, bottom: TALL - 34 };
const SIGNS = { 0: "M-4 0a4 4 0 108 0a4 4 0 10-8 0", 1: "M0 -4.5L4.6 3.8H-4.600Z", 2: "M-4 -4h8v8h-8z", "-1": "M-1.300 -4.500h2.600v3.200h3.200v2.600h-3.200v3.200h-2.600v-3.200h-3.200v-2.600h3.200z" };
const OWNERS = { 0: "modality 1", 1: "modality 2", 2: "both", "-1": "nobody yet" };
const ROLES = { 0: "m0", 1: "m1", 2: "joint", "-1": "average" };
const lineOf = (role) => `var(--${role}-line)`;

function sign(who, x, y, full) {
  const color = lineOf(ROLES[who]), look = full ? { fill: color } : { fill: "none", stroke: color, "stroke-width": 1.5 };
  return svg("path", { d: SIGNS[who], transform: `translate(${pixel(x)} ${pixel(y)})`, ...look });
}

function axes({ x, y, xs, ys, xLabel, yLabel, xWords = String, yWords = String }) {
  const { left, right, top, bottom } = EDGE, parts = [];
  for (const value of ys) parts.push(svg("path", { d: `M${left} ${pixel(y(value))}H${right}`, class: "mmpid-grid" }), svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, yWords(value)));
  for (const value of xs) parts.push(svg("text", { x: x(value), y: bottom + 14, "text-anchor": "middle" }, xWords(value)));
  parts.push(svg("path", { d: `M${left} ${top}V${bottom}H${right}`, class: "mmpid-grid strong" }));
  parts.push(svg("text", { x: (left + right) / 2, y: TALL - 4, "text-anchor": "middle" }, xLabel), svg("text", { transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel));
  return parts;
}

class Figure {
  constructor(name, title, tools = []) {
    this.svg = svg("svg", { class: "lab-plot", role: "img", viewBox: `0 0 ${WIDE} ${TALL}`, "aria-label": title });
    this.key = html("div", { class: "lab-key" });
    this.root = html("figure", { class: `lab-chart lab-chart-${name}` }, html("figcaption", {}, html("h2", {}, title), tools), this.key, this.svg);
  }

  draw(parts, label, key = []) {
    this.svg.replaceChildren(...parts);
    set(this.svg, { "aria-label": label });
    this.key.replaceChildren(...key.map(([picture, words]) => html("span", {}, picture, words)));
  }
}

const swatch = (content) => svg("svg", { width: 26, height: 12, viewBox: "-13 -6 26 12", "aria-hidden": "true" }, content);
const sampleLine = (role, dash) => swatch(svg("path", { d: "M-12 0H12", stroke: lineOf(role), "stroke-width": 2.2, "stroke-dasharray": dash }));

function drawWinners(figure, found) {
  const k = found.ecs.length, top = Math.max(...found.ecs.flat()) / 0.78 || 1, x = scale(-0.6, k - 0.4, EDGE.left, EDGE.right), y = scale(0, top, EDGE.bottom, EDGE.top);
  const ys = ticks(0, 0.78 * top, 4), parts = axes({ x, y, xs: [...Array(k).keys()], ys, xLabel: "class", yLabel: "ECS at the start", yWords: (v) => String(Number(v.toPrecision(3))) });
  const width = 0.36 * (x(1) - x(0));
  found.ecs.forEach((pair, c) => pair.forEach((value, r) => {
    const look = r === 0 ? { fill: lineOf("m0") } : { fill: "none", stroke: lineOf("m1"), "stroke-width": 1.5 };
    parts.push(svg("rect", { x: pixel(x(c + (r - 0.5) * 0.38) - width / 2), y: pixel(y(value)), width: pixel(width), height: pixel(EDGE.bottom - y(value)), ...look }));
  }));
  found.predicted.forEach((who, c) => parts.push(sign(who, x(c), EDGE.top + 5, false)));
  found.kept.forEach((who, c) => parts.push(sign(who, x(c), EDGE.top + 22, true)));
  const key = [[swatch(svg("rect", { x: -5, y: -5, width: 10, height: 10, fill: lineOf("m0") })), "ECS of modality 1"], [swatch(svg("rect", { x: -5, y: -5, width: 10, height: 10, fill: "none", stroke: lineOf("m1"), "stroke-width": 1.5 })), "ECS of modality 2"]];
  for (const who of [0, 1, 2, -1]) key.push([swatch(sign(who, 0, 0, true)), OWNERS[who]]);
  figure.draw(parts, `ECS of both modalities in each class. ${found.said}`, [...key, ["", "hollow: named by ECS, full: has learned the class"]]);
}

/** The corners of a staircase: how many classes were discovered by each step. */
function staircase(times, end, x, y) {
  let path = `M${pixel(x(0))} ${pixel(y(0))}`;
  times.filter((time) => time <= end).sort((a, b) => a - b).forEach((time, i) => { path += `H${pixel(x(time))}V${pixel(y(i + 1))}`; });
  return `${path}H${pixel(x(end))}`;
}

function drawCourse(figure, found) {
  const k = found.ecs.length, end = found.world.steps, x = scale(0, end, EDGE.left, EDGE.right), y = scale(0, k * 1.05, EDGE.bottom, EDGE.top);
  const parts = axes({ x, y, xs: ticks(0, end, 6), ys: ticks(0, k, 4, true), xLabel: "step of gradient descent", yLabel: "classes discovered" });
  for (const [times, look] of [[found.expected, { "stroke-width": 1.2, opacity: 0.75, "stroke-dasharray": "3 3" }], [found.times, { "stroke-width": 2.4 }]]) {
    for (const r of [0, 1]) parts.push(svg("path", { d: staircase(times.map((pair) => pair[r]), end, x, y), fill: "none", stroke: lineOf(`m${r}`), ...(r && look["stroke-width"] > 2 ? { "stroke-dasharray": "8 3 2 3" } : {}), ...look }));
  }
  if (found.handOver !== null && found.handOver <= end) parts.push(svg("path", { d: `M${pixel(x(found.handOver))} ${EDGE.top}V${EDGE.bottom}`, class: "mmpid-switch" }));
  const counts = [0, 1].map((r) => found.times.filter((pair) => Number.isFinite(pair[r])).length);
  const key = [[sampleLine("m0", null), "modality 1"], [sampleLine("m1", "8 3 2 3"), "modality 2"], [sampleLine("average", "3 3"), "alone, predicted by ECS"]];
  if (found.handOver !== null) key.push([sampleLine("joint", "4 3"), "joint training begins"]);
  figure.draw(parts, `Course of discovery: modality 1 has learned ${counts[0]} of ${k} classes after ${end} steps, modality 2 ${counts[1]}.`, key);
}

function drawStrata(figure, found) {
  const names = ["neither", "modality 2", "modality 1", "both"], x = scale(-0.5, 3.5, EDGE.left, EDGE.right), y = scale(0, 1, EDGE.bottom, EDGE.top);
  const parts = axes({ x, y, xs: [0, 1, 2, 3], ys: [0, 0.25, 0.5, 0.75, 1], xLabel: "insufficient in the sample (share of samples)", yLabel: "test error", xWords: (i) => `${names[i]} (${(100 * found.shares[i]).toPrecision(3)} %)` });
  found.strata.forEach((value, i) => {
    parts.push(svg("rect", { x: pixel(x(i - 0.2)), y: pixel(y(value)), width: pixel(x(0.4) - x(0)), height: pixel(EDGE.bottom - y(value)), fill: lineOf("both") }));
    parts.push(svg("text", { x: x(i), y: y(value) - 5, "text-anchor": "middle" }, value.toFixed(3)));
  });
  figure.draw(parts, `Test error by what a sample lacks: ${names.map((name, i) => `${name} ${found.strata[i].toFixed(3)}`).join(", ")}.`);
}

const FLOOR = 1e-7; // where an error of zero is drawn: a logarithm has no place for it

function drawSweep(figure, sweep, classes, rateOf) {
  const rates = classes.map(rateOf), values = [...Object.values(sweep).flatMap((byK) => Object.values(byK).flat()), ...rates, ...rates.map((rate) => rate ** 2)].map((value) => Math.max(value, FLOOR));
  const low = Math.floor(Math.log10(Math.min(...values, 0.1))), high = Math.max(Math.ceil(Math.log10(Math.max(...values, 0.01))), low + 1);
  const log = (place) => (value) => place(Math.log10(Math.max(value, FLOOR))), x = log(scale(Math.log10(classes[0] * 0.9), Math.log10(classes.at(-1) * 1.1), EDGE.left + 8, EDGE.right)), y = log(scale(low, high, EDGE.bottom, EDGE.top));
  const powers = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const parts = axes({ x, y, xs: classes, ys: powers, xLabel: "number of classes K", yLabel: "test error", yWords: (v) => v.toExponential(0).replace("+", "") });
  const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${pixel(x(a))} ${pixel(y(b))}`).join("");
  for (const power of [1, 2]) parts.push(svg("path", { d: path(classes.map((k, i) => [k, rates[i] ** power])), fill: "none", stroke: lineOf("average"), "stroke-width": 1.2, "stroke-dasharray": power === 1 ? "8 3 2 3" : "2 3" }));
  const looks = { joint: ["m2", "7 3", 0], "two-stage": ["joint", null, 2] }, means = [];
  for (const [schedule, byK] of Object.entries(sweep)) {
    const [role, dash, who] = looks[schedule], line = Object.entries(byK).map(([k, errors]) => [Number(k), errors.reduce((a, b) => a + b, 0) / errors.length]);
    parts.push(svg("path", { d: path(line), fill: "none", stroke: lineOf(role), "stroke-width": 2.2, "stroke-dasharray": dash }));
    for (const [k, errors] of Object.entries(byK)) for (const value of errors) parts.push(svg("path", { d: SIGNS[who], transform: `translate(${pixel(x(Number(k)))} ${pixel(y(value))})`, fill: lineOf(role), opacity: 0.75 }));
    means.push(`${schedule}: ${line.map(([k, mean]) => `${mean.toExponential(1)} at K = ${k}`).join(", ") || "not computed"}`);
  }
  figure.draw(parts, `Error against the number of classes. ${means.join(". ")}.`, [[sampleLine("m2", "7 3"), "joint"], [sampleLine("joint", null), "two-stage"], [sampleLine("average", "8 3 2 3"), "μ"], [sampleLine("average", "2 3"), "μ²"]]);
}
