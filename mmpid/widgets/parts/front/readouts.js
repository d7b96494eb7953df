// The legend of the main chart, which is also the readout at the clock, and its text for screen readers.

/** The atoms at the last probe up to `at`. */
function atomsAt(atoms, at) {
  const found = {};
  for (const trace of atoms?.traces ?? []) {
    const i = before(trace.x, at);
    if (i < 0) continue;
    found[trace.key] = { value: trace.y[i], low: trace.low?.[i], high: trace.high?.[i], epoch: trace.x[i] };
  }
  return found;
}

const range = (atom) => (atom?.low === undefined ? "no interval" : `${two(Math.max(atom.low, 0))} to ${two(atom.high)}`);

class Readouts {
  constructor(setup) {
    this.setup = setup;
    const [first, second] = setup.modalities;
    this.rows = [
      ["missing", "still missing", "missing"], ["synergy", "only together", "together"], ["unique2", `${second} alone`, "m1"],
      ["redundancy", "both know", "both"], ["unique1", `${first} alone`, "m0"],
    ].map(([key, words, role]) => {
      const parts = { value: html("span", { class: "mmpid-value" }), note: html("span", { class: "mmpid-note" }) };
      const swatch = html("i", { class: `mmpid-swatch ${key}`, style: `--line: var(--${role}-line); --area: var(--${role}-area)` });
      const name = html("span", { class: "mmpid-name", title: words }, words);
      return { key, ...parts, root: html("div", { class: "mmpid-key" }, swatch, name, parts.value, parts.note) };
    });
    this.sums = [second, first].map((name, i) => {
      const value = html("b");
      return { i: 1 - i, value, root: html("div", {}, html("span", { title: `${name} in all` }, `${name} in all`), value) };
    });
    this.when = html("div", { class: "mmpid-when" }, "bits");
    this.root = html("div", { class: "mmpid-readouts" }, this.when, this.rows.map((row) => row.root), html("div", { class: "mmpid-sums" }, this.sums.map((sum) => sum.root)));
    this.leads = svg("svg", { class: "mmpid-leads", "aria-hidden": "true" });
    this.root.append(this.leads);
  }

  /** Write the values at the clock. */
  show(known, atoms, at, extra) {
    const found = atomsAt(atoms, at), entropy = this.setup.entropy, own = [found.unique1, found.unique2], both = found.redundancy;
    const i = known?.areas.length ? before(known.areas[0].x, at) : -1, missing = known?.areas.find((area) => area.role === "missing");
    const sure = i < 0 ? {} : { identified: extra?.identified?.[i] !== 0, proven: extra?.proven?.[i] === 1 };
    const words = {
      missing: i < 0 ? ["–", `of ${two(entropy)} bits`] : [`≤ ${two(Math.max(missing.high[i] - known.areas[3].high[i], 0))}`, `of ${two(entropy)} bits`],
      unique1: [own[0] && two(own[0].value), range(own[0])], unique2: [own[1] && two(own[1].value), range(own[1])], redundancy: [both && two(both.value), range(both)],
      synergy: !found.synergy ? ["–", ""] : sure.proven ? [two(found.synergy.value), `proven: ${two(Math.max(found.synergy.low ?? 0, 0))}`]
        : sure.identified ? [two(found.synergy.value), "within noise"] : ["?", "too few samples"],
    };
    for (const row of this.rows) {
      const [value, note] = words[row.key];
      set(row.value, { text: value ?? "–" });
      set(row.note, { text: value === undefined ? "" : note });
    }
    for (const sum of this.sums) {
      const part = own[sum.i];
      set(sum.value, { text: part && both ? two(Math.max(part.value, 0) + Math.max(both.value, 0)) : "–" });
    }
    set(this.when, { text: both ? `bits at epoch ${epochWords(both.epoch)}` : "bits" });
    this.said = both ? `${this.setup.modalities[0]} alone ${words.unique1[0]} bits, both ${words.redundancy[0]}, ${this.setup.modalities[1]} alone ${words.unique2[0]}, only together ${words.synergy[0]}` : "no probe yet";
    return ["unique1", "redundancy", "unique2"].filter((key) => found[key]?.low !== undefined).map((key) => ({ key, ...found[key] }));
  }

  /** Draw thin lines from the column to the rows; heights are known, and everything is measured only once. */
  lead(middles) {
    if (!middles) return;
    const parts = this.rows.map((row) => {
      const from = middles[row.key] ?? middles[row.key === "synergy" ? "synergy proven" : ""];
      const to = row.root.offsetTop + 11;
      return Number.isFinite(from) ? svg("path", { d: `M0 ${pixel(from)}C10 ${pixel(from)} 6 ${to} 18 ${to}` }) : null;
    });
    this.leads.replaceChildren(...parts.filter(Boolean));
  }
}
