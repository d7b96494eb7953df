// The board: it shows what the kernel sends and reports what the user does; clock, hovering and replay need no kernel.

const KEYS = [["Space", "Play, Pause or Replay"], ["E  B  N", "One epoch, one batch, to the next probe"], ["P", "Probe now"], ["← →", "One probe back, forth; with Shift five"], ["Home End", "First probe, present"], ["[ ]", "Decision before, after"], ["J", "Joint training from here"], ["M", "Auto or Manual"], ["X", "Simple or Expert"], ["W", "What if"], ["Esc", "Back to the present"]];
const SECONDS_OF_REPLAY = 10;
const remembered = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const remember = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a page may forbid it */ } };

class Board {
  constructor(model, el) {
    Object.assign(this, { model, setup: model.get("setup"), now: model.get("now"), at: null, hover: null, tab: "strength", right: "accuracy", lines: false, what: null });
    this.level = remembered("mmpid-level") === "expert" ? "expert" : "simple";
    this.many = this.setup.modalities.length !== 2;
    this.build();
    el.append(this.root);
    this.listen();
    this.forget = followTheme(this.root);
    this.take(["known", "atoms", "accuracy", "loss", "strength"]);
    this.render(true);
  }

  build() {
    const key = (event) => this.key(event), look = (epoch) => this.look(epoch), move = (epoch) => this.move(epoch);
    const { setup } = this, names = setup.modalities;
    this.sentence = html("h2", { class: "mmpid-headline" });
    this.evidence = html("p", { class: "mmpid-evidence" });
    this.say = html("div", { class: "mmpid-unseen", role: "status", "aria-live": "polite" });
    this.values = html("div", { class: "mmpid-unseen", "aria-live": "polite" });
    this.levels = choiceOf("Level", { simple: "Simple", expert: "Expert" }, (level) => this.setLevel(level));
    this.more = button("", { icon: "more", kind: "icon", name: "More" });
    this.moreMenu = menu(this.more, () => this.moreItems(), "More");
    this.toolbar = new Toolbar(this);
    this.timeline = new Timeline({ names, ontoggle: (name) => this.send({ do: "toggle", name }), onmove: move, onkey: key });
    const hooks = { onlook: look, onmove: move, onkey: key };
    this.heroHead = this.head("What the two encoders know", `bits; a full box is ${two(setup.entropy)}`);
    this.whatButton = button("What if…", { kind: "small", onpress: () => this.toggleWhat(), tip: "What would another rule have decided? (W)" });
    this.views = choiceOf("Hero chart", { areas: "Areas", lines: "Lines" }, (view) => { this.lines = view === "lines"; this.render(true); }, true);
    this.heroHead.append(html("span", { class: "push" }), this.views, this.whatButton);
    this.rightHead = this.head("Accuracy on held-out samples", setup.samples ? `% right, each ±${noiseOf(setup.samples)}` : "% right");
    this.rights = choiceOf("Right chart", { accuracy: "Accuracy", loss: "Loss" }, (right) => { this.right = right; this.render(true); }, true);
    this.rightHead.prepend(this.rights);
    this.accuracy = new EpochChart({ name: "accuracy", label: "Accuracy. Arrow keys move the clock.", percent: true, ends: true, ...hooks });
    this.loss = new EpochChart({ name: "loss", label: "Loss. Arrow keys move the clock.", ...hooks });
    this.charts = [this.accuracy, this.loss];
    this.hero = this.many ? this.buildBoxes(names, hooks) : this.buildStack(hooks);
    this.whatRow = this.buildWhat();
    this.lower = new Lower(this);
    this.foot = html("div", { class: "mmpid-message", role: "log", "aria-live": "polite" });
    this.footButtons = html("div", { class: "mmpid-foot-buttons" });
    this.progress = html("span", { class: "mmpid-progress" });
    this.links = ["decisions", "findings"].map((name) => { const link = html("button", { type: "button", class: "mmpid-link" }); link.addEventListener("click", () => this.openTab(name)); return link; });
    this.popover = html("div", { class: "mmpid-popover", hidden: true, role: "dialog" });
    this.popover.addEventListener("keydown", (event) => { if (event.key === "Escape") { this.closePopover(); event.stopPropagation(); } });
    this.rightHead.classList.add("mmpid-right-head");
    const charts = html("div", { class: "mmpid-pair" }, this.heroHead, this.whatRow, this.hero, this.rightHead, html("div", { class: "mmpid-right" }, this.accuracy.root, this.loss.root));
    this.inner = html("div", { class: "mmpid-inner" }, html("header", { class: "mmpid-head" }, this.sentence, html("div", { class: "mmpid-corner" }, this.levels, html("span", { class: "mmpid-split" }, this.more, this.moreMenu)), this.evidence), this.toolbar.root, this.timeline.root, charts, this.lower.root,
      html("footer", { class: "mmpid-foot" }, this.foot, this.footButtons, html("span", { class: "mmpid-links" }, this.links), this.progress), this.popover, this.say, this.values);
    this.root = html("section", { class: "mmpid-board-page mmpid-page mmpid-board", role: "region", "aria-label": `Training board: ${setup.data}`, "data-lm-suppress-shortcuts": "true", tabindex: -1 }, this.inner);
    this.root.addEventListener("keydown", key);
  }

  head(title, sub) {
    return html("div", { class: "mmpid-chart-head" }, html("h3", {}, title), html("span", { class: "mmpid-quiet" }, sub));
  }

  buildStack(hooks) {
    this.stack = new EpochChart({ name: "known", label: "What the two encoders know, in bits. Arrow keys move the clock.", box: true, column: true, ...hooks });
    this.atoms = new EpochChart({ name: "atoms", label: "Redundant, unique and synergistic information, in bits. Arrow keys move the clock.", ...hooks });
    this.readouts = new Readouts(this.setup);
    this.charts.push(this.stack, this.atoms);
    this.handle = html("div", { class: "mmpid-handle", hidden: true, "data-handle": "true" }, html("span"));
    this.stack.root.append(this.handle);
    return html("div", { class: "mmpid-hero" }, this.stack.root, this.atoms.root, this.readouts.root);
  }

  buildBoxes(names, hooks) {
    set(this.heroHead.firstChild, { text: "What each encoder knows" });
    const key = (role, words) => html("span", { class: "mmpid-box-key" }, html("i", { class: `mmpid-swatch ${role}`, style: `--area: var(--${role}-area); --line: var(--${role}-line)` }), words);
    this.heroHead.querySelector(".mmpid-quiet").replaceChildren(key("m0", "it alone"), key("both", "others too"), `of ${two(this.setup.entropy)} bits`);
    this.boxes = names.map((name, i) => {
      const chart = new EpochChart({ name: `known-${i}`, label: `What ${name} knows, in bits. Arrow keys move the clock.`, box: true, small: true, ...hooks });
      const value = html("b"), word = html("span", { class: "mmpid-quiet" }), pause = button("", { icon: "pause", kind: "tiny", name: `Pause ${name}`, onpress: () => this.send({ do: "toggle", name }) });
      const title = html("div", { class: "mmpid-box-title" }, html("i", { class: "mmpid-swatch", style: `--area: var(--m${i % 6}-line); --line: var(--m${i % 6}-line)` }), html("span", { class: "mmpid-name", title: name }, name), pause, word, html("span", { class: "push" }), value);
      this.charts.push(chart);
      return { chart, value, word, pause, name, root: html("div", { class: "mmpid-box-cell" }, title, chart.root) };
    });
    return html("div", { class: "mmpid-hero many", style: `--columns: ${names.length === 4 ? 2 : Math.min(names.length, 3)}` }, this.boxes.map((box) => box.root));
  }

  // ---- from the kernel ----------------------------------------------------------------------------------------

  listen() {
    const { model } = this, heard = [];
    const on = (event, answer) => { model.on(event, answer); heard.push([event, answer]); };
    for (const name of ["known", "atoms", "accuracy", "loss", "strength"]) on(`change:${name}`, () => { this.take([name]); this.soon(); });
    for (const name of ["now", "events", "stories", "answer", "panel"]) on(`change:${name}`, () => { this.now = model.get("now"); this.stale = this.stale || name === "events"; this.soon(); });
    const live = () => this.kernel();
    for (const event of ["comm_live_update", "comm:close", "destroy"]) on(event, live);
    this.ear = setInterval(live, 2000);
    if (this.handle) this.dragHandle();
    this.dispose = () => {
      clearInterval(this.ear);
      this.forget();
      this.picture?.classList.remove("mmpid-picture-hidden");
      this.stopReplay();
      for (const [event, answer] of heard) model.off(event, answer);
      for (const one of [...this.charts, this.timeline]) one.dispose();
    };
  }

  /** Whether the kernel answers: the widget of a dead kernel has lost its channel. */
  async kernel() {
    this.picture ??= hidePicture(this.root);
    const id = this.now.id ?? this.setup.id;
    try {
      const own = id && this.model.widget_manager?.get_model && (await this.model.widget_manager.get_model(id));
      const gone = own ? own.comm_live === false : false;
      if (gone !== !!this.gone) { this.gone = gone; this.soon(); }
    } catch { /* a host without such a manager reports nothing */ }
  }

  take(names) {
    for (const name of names) {
      const block = this.model.get(name);
      this[`${name}Data`] = { ...block, charts: unpacked(block) };
    }
    this.stale = true;
  }

  soon() {
    this.waits ??= requestAnimationFrame(() => { this.waits = undefined; this.render(this.stale); });
  }

  // ---- the clock ------------------------------------------------------------------------------------------------

  get dead() { return this.gone || this.now.state === "closed"; }
  get live() { return this.now.epoch; }
  get clock() { return this.hover ?? this.at ?? this.live; }
  get looksBack() { return this.at !== null && this.at < this.live - 1e-6; }

  stops() {
    const events = this.model.get("events"), epochs = [...(this.accuracyData.charts[0]?.traces ?? [])].flatMap((trace) => [...trace.x]);
    return [...new Set([...(events.probes ?? []), ...epochs])].filter((epoch) => epoch <= this.live + 1e-6).sort((a, b) => a - b);
  }

  nearest(epoch) {
    const stops = this.stops();
    return stops.length ? stops.reduce((best, one) => (Math.abs(one - epoch) < Math.abs(best - epoch) ? one : best)) : null;
  }

  look(epoch) {
    const next = epoch === null || epoch === undefined ? null : this.nearest(epoch);
    if (next === this.hover) return;
    this.hover = next;
    this.renderClock();
  }

  move(epoch) {
    this.stopReplay();
    this.hover = null;
    const next = epoch === null ? null : this.nearest(epoch);
    this.at = next === null || next >= this.live - 1e-6 ? null : next;
    this.renderClock();
  }

  /** The epoch that Branch, Rewind and Joint act on: the last probe with a kept state up to the clock. */
  epochToActOn() {
    const kept = (this.now.rewindable ?? []).filter((epoch) => epoch <= (this.at ?? this.live) + 1e-6);
    return kept.length ? kept.at(-1) : null;
  }

  // ---- what the user does -------------------------------------------------------------------------------------

  send(said) {
    if (this.gone) return;
    this.model.send(said);
  }

  primary() {
    if (this.replaying) return this.stopReplay();
    if (this.now.state === "playing") return this.send({ do: "pause" });
    if (this.now.state === "finished") return this.replay();
    if (this.dead) return;
    this.at = null;
    this.send({ do: "play" });
  }

  replay() {
    const stops = this.stops(), first = this.at ?? stops[0] ?? 0, started = performance.now();
    const rate = { full: this.live / SECONDS_OF_REPLAY, 4: 4, 1: 1 }[this.now.speed] || 1;
    const frame = () => {
      const epoch = first + (rate * (performance.now() - started)) / 1000;
      if (epoch >= this.live) return this.stopReplay(true);
      const stop = stops.filter((one) => one <= epoch).at(-1) ?? first;
      if (stop !== this.at) { this.at = stop; this.renderClock(); }
      this.replaying = requestAnimationFrame(frame);
    };
    this.at = first;
    this.replaying = requestAnimationFrame(frame);
    this.renderClock();
  }

  stopReplay(end = false) {
    if (!this.replaying) return;
    cancelAnimationFrame(this.replaying);
    this.replaying = null;
    if (end) this.at = null;
    this.renderClock();
  }

  joint() {
    const at = this.looksBack ? this.epochToActOn() : null;
    this.send({ do: "joint", start: at ?? "best" });
    this.at = null;
  }

  rewind() {
    const at = this.epochToActOn();
    if (at !== null) this.send({ do: "rewind", to: at });
    if (this.now.state !== "finished") this.at = null;
  }

  branch() {
    const at = this.epochToActOn();
    if (at === null) return;
    const name = html("input", { type: "text", class: "mmpid-field wide", "aria-label": "Name of the branch", value: `from epoch ${at}` });
    const go = () => { this.send({ do: "branch", at, name: name.value }); this.closePopover(); };
    name.addEventListener("keydown", (event) => event.key === "Enter" && go());
    this.open(`Branch at epoch ${at}`, html("label", {}, "Name ", name), button("Make the branch", { kind: "small strong", onpress: go }));
    name.select();
  }

  moreItems() {
    const dead = this.dead;
    return [["Save or report…", () => this.openSave(), null, this.gone], ["Tables of all charts", () => this.openTab("tables")], null,
      ["Stop for good", () => this.send({ do: "stop" }), null, dead], null, ["Keys", () => this.openKeys(), "?"]];
  }

  openTab(name) {
    this.tab = name;
    if (this.level !== "expert") this.setLevel("expert");
    this.send({ do: "tab", name });
    this.render(false);
  }

  setLevel(level) {
    this.level = level;
    remember("mmpid-level", level);
    if (level === "expert") this.send({ do: "tab", name: this.tab });
    this.render(true);
  }

  key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event, field = target.closest("input, select, textarea"), pressed = target.closest("button"), many = event.shiftKey ? 5 : 1;
    const onClock = !field && !target.closest("[role=toolbar], [role=tablist], [role=radiogroup], [role=menu]");
    const hop = (by) => () => { const stops = this.stops(), now = stops.indexOf(this.nearest(this.at ?? this.live)); this.move(stops[clamp(now + by, 0, stops.length - 1)] ?? null); this.tell(); };
    const flag = (by) => () => { const flags = (this.model.get("events").flags ?? []).map((one) => one.at), at = this.at ?? this.live; const next = by > 0 ? flags.find((one) => one > at) : flags.findLast((one) => one < at); if (next !== undefined) { this.move(next); this.tell(); } };
    const clockKeys = { ArrowLeft: hop(-many), ArrowRight: hop(many), Home: () => { this.move(this.stops()[0] ?? null); this.tell(); }, End: () => { this.move(null); this.tell(); } };
    const letters = {
      " ": pressed ? null : () => this.primary(), e: () => this.step("epoch"), b: () => this.step("batch"), n: () => this.step("probe"), p: () => this.dead || this.send({ do: "probe" }), "[": flag(-1), "]": flag(1), j: () => this.toolbar.joint.click(),
      m: () => this.dead || this.send({ do: "auto", value: !this.now.auto }), x: () => this.setLevel(this.level === "expert" ? "simple" : "expert"), w: () => this.many || this.toggleWhat(), "?": () => this.openKeys(),
      Escape: () => (this.popover.known?.hidden === false ? this.closePopover() : this.move(null)),
    };
    const act = (onClock && clockKeys[event.key]) || (!field && (letters[event.key] ?? letters[event.key.toLowerCase?.()]));
    if (act) { act(); event.preventDefault(); }
    event.stopPropagation(); // no key pressed in the board is a command of the notebook
  }

  step(of) {
    if (!this.dead && this.now.state !== "finished") this.send({ do: "step", of });
  }

  /** Announce all values at the clock once no key is pressed. */
  tell() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => set(this.values, { text: `Epoch ${epochWords(this.clock)}. ${this.readouts?.said ?? ""}` }), 300);
  }
}

/** 95 % half-width of an accuracy on n samples at its widest, in points. */
const noiseOf = (n) => Math.max(1, Math.round(196 * Math.sqrt(0.15 / n)));
