// The page: knobs, the sentence, the charts; the state is in the address, so that a link shows the same world.

const START = { k: 8, s0: 0.004, ratio: 1, c: 0.25, rate: "law", schedule: "joint", stage1: "oracle", steps: 400, seed: 0, theme: "auto" };
const SCHEDULES = { joint: "joint from the start", "two-stage": "two-stage: each alone, then joint", "one-shaped": "only modality 1 alone first", "two-stage-margin": "two-stage with a margin of 120 steps" };
const TURN = 24; // milliseconds of work between two looks at the page

class Knob {
  constructor(name, words, input, tip, show = null) {
    Object.assign(this, { name, input, show });
    input.id = `knob-${name}`;
    input.title = tip;
    this.output = show ? html("output", { for: input.id }) : null;
    this.root = html("div", { class: "lab-knob" }, html("label", { for: input.id }, words), input, this.output);
  }

  set value(value) {
    this.input.value = value;
    if (this.output) this.output.textContent = this.show(Number(this.input.value));
  }
}

const select = (options) => html("select", {}, Object.entries(options).map(([value, words]) => html("option", { value }, words)));
const numbers = (values) => select(Object.fromEntries(values.map((value) => [String(value), String(value)])));
const slider = (min, max, step) => html("input", { type: "range", min, max, step });

class Page {
  constructor(root) {
    this.root = root;
    this.jobs = {};
    this.sweep = null;
    this.build();
    this.read();
    addEventListener("hashchange", () => { this.read(); this.run(); });
    this.run();
  }

  build() {
    const plain = (value) => String(value), two = (value) => value.toFixed(2);
    this.knobs = [
      new Knob("k", "Classes K", numbers(MODEL.classes), "Number of classes; the time to compute grows with its cube"),
      new Knob("s0", "Initial scale s0", numbers(MODEL.scales), "Spread of the initial weights; competition needs it far below 0.5, the threshold of discovery"),
      new Knob("ratio", "Imbalance 2 : 1", slider(0.5, 2, 0.05), "How many times stronger modality 2 is than modality 1", two),
      new Knob("c", "Insufficient, c", slider(0, 2, 0.05), "A sample lacks a modality with probability c / K", two),
      new Knob("rate", "Rate over K", select({ law: "c / K: falls with K", constant: "c / 16: the same for every K" }), "How the rate of insufficient samples depends on K"),
      new Knob("schedule", "Schedule", select(SCHEDULES), "What is trained when; the total number of steps stays the same"),
      new Knob("stage1", "Stage 1 ends", select({ oracle: "by an oracle", ...Object.fromEntries([0, 20, 40, 80, 120, 160, 200, 300, 400].map((n) => [n, `after ${n} steps`])) }), "The oracle waits until every class is learned and both modalities are balanced"),
      new Knob("steps", "Steps in all", slider(100, 1200, 50), "Steps of both stages together", plain),
      new Knob("seed", "World (seed)", html("input", { type: "number", min: 0, max: 9999, step: 1 }), "Seed of data and initial weights"),
    ];
    const named = (words, onpress, tip) => button(words, { onpress, tip });
    this.theme = html("select", { class: "mmpid-select", "aria-label": "Colors" }, ["auto", "light", "dark"].map((name) => html("option", { value: name }, name === "auto" ? "colors of the system" : name)));
    this.said = html("p", { class: "lab-said", role: "status", "aria-live": "polite" });
    this.bar = html("progress", { max: 1, value: 0, "aria-label": "World simulated" });
    this.took = html("span", { class: "lab-took" });
    this.sweepButton = button("Compute", { kind: "small", onpress: () => this.startSweep(), tip: "Joint and two-stage training for K = 4, 8 and 16, two worlds each" });
    this.sweepBar = html("progress", { max: 1, value: 0, "aria-label": "Worlds of all K simulated" });
    this.winners = new Figure("winners", "Who is strong in each class, and who gets it");
    this.course = new Figure("course", "The course of discovery");
    this.strata = new Figure("strata", "Test error by what a sample lacks");
    this.errors = new Figure("sweep", "Error against the number of classes", [this.sweepButton, this.sweepBar]);
    this.tables = html("div", { class: "lab-tables" });
    const top = html("div", { class: "lab-top" }, html("h1", {}, "Modality competition in a model that can be solved"),
      html("div", { class: "lab-buttons" }, named("Another world", () => this.change({ seed: (this.state.seed + 1) % 10000 }), "The same setting with other data and initial weights"), named("Back to the start", () => this.change({ ...START, theme: this.state.theme }), "All knobs at their initial values"), this.theme));
    this.root.append(top, this.said, html("form", { class: "lab-knobs", "aria-label": "Settings" }, this.knobs.map((knob) => knob.root)), html("div", { class: "lab-buttons" }, this.bar, this.took),
      html("div", { class: "lab-charts" }, [this.winners, this.course, this.strata, this.errors].map((one) => one.root)), html("details", {}, html("summary", {}, "The data of the charts as tables"), this.tables), note());
    this.root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    for (const knob of this.knobs) knob.input.addEventListener("input", () => this.moved(knob));
    this.theme.addEventListener("change", () => this.change({ theme: this.theme.value }));
  }

  moved(knob) {
    const raw = knob.input.value, word = ["rate", "schedule", "stage1"].includes(knob.name);
    if (!word && (raw === "" || !knob.input.checkValidity())) return;
    this.change({ [knob.name]: word ? raw : Number(raw) });
  }

  /** The state of the address; what is missing or makes no sense is as at the start. */
  read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    this.state = { ...START };
    for (const knob of this.knobs) {
      const { name, input } = knob, given = asked.get(name);
      if (given !== null) input.value = given;
      const taken = given !== null && (input.tagName === "SELECT" ? input.value === given : String(given).trim() !== "" && Number.isFinite(Number(given)) && input.checkValidity());
      this.state[name] = taken ? (typeof START[name] === "number" ? Number(input.value) : given) : START[name];
    }
    if (["light", "dark"].includes(asked.get("theme"))) this.state.theme = asked.get("theme");
    this.show();
  }

  show() {
    const { state } = this;
    for (const knob of this.knobs) knob.value = state[knob.name];
    this.knobs.find((knob) => knob.name === "stage1").input.disabled = state.schedule === "joint";
    this.theme.value = state.theme;
    document.documentElement.style.colorScheme = this.root.style.colorScheme = document.body.style.colorScheme = state.theme === "auto" ? "light dark" : state.theme;
  }

  change(what) {
    const before = JSON.stringify({ ...this.state, theme: "" });
    Object.assign(this.state, what);
    this.show();
    const differs = Object.entries(this.state).filter(([name, value]) => value !== START[name]);
    history.replaceState(null, "", `#${new URLSearchParams(Object.fromEntries(differs))}`);
    if (JSON.stringify({ ...this.state, theme: "" }) !== before) this.run();
  }

  /** Work in turns, so that the page answers meanwhile; a newer job of the same name ends the older one. */
  work(name, run, onprogress, ondone) {
    const job = (this.jobs[name] = {});
    const turn = () => {
      if (this.jobs[name] !== job) return;
      const until = performance.now() + TURN;
      for (let next = run.next(); ; next = run.next()) {
        if (next.done) { onprogress(1); return ondone(next.value); }
        if (performance.now() > until) { onprogress(next.value); break; }
      }
      setTimeout(turn);
    };
    setTimeout(turn);
  }

  run() {
    const started = performance.now(), knobs = { ...this.state };
    this.root.dataset.state = "busy";
    this.took.textContent = "simulating";
    this.work("world", simulate(knobs), (share) => { this.bar.value = share; }, (found) => {
      this.world = found;
      this.took.textContent = `world simulated in ${((performance.now() - started) / 1000).toFixed(1)} s`;
      found.said = this.said.textContent = sentence(found);
      drawWinners(this.winners, found);
      drawCourse(this.course, found);
      drawStrata(this.strata, found);
      this.tables.innerHTML = tablesOf(found);
      this.root.dataset.state = "done";
    });
    const key = JSON.stringify([knobs.s0, knobs.ratio, knobs.c, knobs.rate, knobs.stage1, knobs.steps]);
    if (this.sweepKey !== key) {
      this.sweepKey = key;
      this.jobs.sweep = null;
      this.sweepBar.value = 0;
      this.drawSweep({ joint: {}, "two-stage": {} });
    }
  }

  drawSweep(sweep) {
    const { state } = this;
    this.sweep = sweep;
    drawSweep(this.errors, sweep, MODEL.sweep_classes, (k) => worldOf({ ...state, k }).rate);
  }

  startSweep() {
    const base = { ...this.state }, sweep = { joint: {}, "two-stage": {} }, page = this;
    const todo = [0, 1].flatMap((seed) => MODEL.sweep_classes.flatMap((k) => Object.keys(sweep).map((schedule) => ({ ...base, k, seed, schedule }))));
    const cost = (one) => one.k ** 3, total = todo.reduce((sum, one) => sum + cost(one), 0);
    function* all() {
      let done = 0;
      for (const one of todo) {
        const run = simulate(one);
        let next = run.next();
        while (!next.done) { yield (done + next.value * cost(one)) / total; next = run.next(); }
        done += cost(one);
        (sweep[one.schedule][one.k] ??= []).push(next.value.error);
        page.drawSweep(sweep);
      }
    }
    this.work("sweep", all(), (share) => { this.sweepBar.value = share; }, () => { this.root.dataset.sweep = "done"; });
  }
}

function sentence(found) {
  const k = found.kept.length, count = (who) => found.kept.filter((one) => one === who).length, alone = count(0) + count(1);
  const right = found.kept.filter((who, c) => who === found.predicted[c]).length, mu = found.world.rate, percent = (share) => `${Number((100 * share).toPrecision(3))} %`;
  const first = `Of ${k} classes modality 1 alone learns ${count(0)}, modality 2 alone ${count(1)}, both learn ${count(2)}${count(-1) ? `, neither has learned ${count(-1)} yet` : ""}.`;
  const second = alone ? `Where one modality lost, ECS at the start had named the winner in ${right} of ${alone}.` : "No class has a loser, so there was nothing for ECS to predict.";
  const third = `Test error ${percent(found.error)}${mu ? `, ${(found.error / mu).toFixed(2)} of μ = ${percent(mu)}, the rate of insufficient samples` : ""}.`;
  const warning = count(-1) ? " The run is too short for this initial scale: give it more steps." : found.world.schedule !== "joint" && found.handOver === null ? " Stage 1 has not ended within these steps; no joint training took place." : "";
  return `${first} ${second} ${third}${warning}`;
}

function tablesOf(found) {
  const steps = (value) => (Number.isFinite(value) ? value.toFixed(1) : "never"), row = (cells) => `<tr><th scope="row">${cells[0]}</th>${cells.slice(1).map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  const table = (caption, head, rows) => `<table class="mmpid-table"><caption>${caption}</caption><thead><tr>${head.map((one) => `<th scope="col">${one}</th>`).join("")}</tr></thead><tbody>${rows.map(row).join("")}</tbody></table>`;
  const classes = found.ecs.map((pair, c) => [c, ...pair.map((one) => one.toPrecision(6)), OWNERS[found.predicted[c]], OWNERS[found.kept[c]], ...found.times[c].map(steps), ...found.expected[c].map(steps)]);
  const names = ["neither", "modality 2", "modality 1", "both"], strata = names.map((name, i) => [name, found.shares[i].toPrecision(4), found.strata[i].toFixed(3), (found.shares[i] * found.strata[i]).toPrecision(3)]);
  return table("By class; steps until discovery", ["class", "ECS 1", "ECS 2", "predicted", "has it", "steps 1", "steps 2", "steps 1, predicted", "steps 2, predicted"], classes)
    + table("Test error", ["insufficient", "share of samples", "error", "contributes"], [...strata, ["all", "1", "", found.error.toPrecision(3)]]);
}

function note() {
  const made = html("p", { class: "lab-note" });
  made.textContent = "Two one-layer encoders, additive fusion, K classes, data made for the purpose: a caricature, small enough to be solved while you look. ECS, the Effective Competitive Strength of a modality in a class, is known before the first step. "
    + "The error law over K is inherited from the rate c / K of insufficient samples, which is put in by hand. A seed means the same world as in mmpid.widgets.CompetitionLab(seed=...); this page computes in double precision. Everything runs in this page: no kernel, no network.";
  return made;
}

window.competitionLab = { simulateNow, page: new Page(document.querySelector("main")) };
