// Two runs under one clock: bars back to back, both stacks, both accuracies, one slider.

const REPLAY_SECONDS = 10;

class RacePage {
  constructor(model, el) {
    Object.assign(this, { model, at: null, setup: model.get("setup") });
    const { names, modalities } = this.setup;
    this.sentence = html("h2", { class: "mmpid-headline" });
    this.evidence = html("p", { class: "mmpid-evidence" });
    this.say = html("div", { class: "mmpid-unseen", role: "status", "aria-live": "polite" });
    this.primary = button("Play", { icon: "play", kind: "primary", onpress: () => this.press() });
    this.slider = html("input", { type: "range", min: 0, max: this.setup.epochs, step: 1, "aria-label": "Time" });
    this.slider.addEventListener("input", () => this.move(Number(this.slider.value)));
    this.output = html("output");
    this.bars = modalities.map((name, i) => ({ i, left: svg("svg", { "aria-hidden": "true" }), right: svg("svg", { "aria-hidden": "true" }), name: html("div", { class: "mmpid-race-name", style: `color: var(--m${i}-text)` }, name) }));
    const hooks = { onlook: (at) => this.look(at), onmove: (at) => this.move(Math.round(at)) };
    this.charts = ["left", "right"].map((side, k) => ({
      side, known: new EpochChart({ name: `known-${side}`, label: `${names[k]}: what the encoders know, in bits.`, box: true, ...hooks }),
      accuracy: new EpochChart({ name: `accuracy-${side}`, label: `${names[k]}: accuracy of the answer.`, percent: true, ...hooks }),
    }));
    const head = (words, sub) => html("div", { class: "mmpid-chart-head" }, html("h3", {}, words), html("span", { class: "mmpid-quiet" }, sub));
    const [a, b] = this.charts;
    this.root = html("section", { class: "mmpid-page mmpid-board mmpid-race", role: "region", "aria-label": `${names[0]} and ${names[1]} side by side`, "data-lm-suppress-shortcuts": "true" },
      html("div", { class: "mmpid-inner" }, html("header", { class: "mmpid-head" }, this.sentence, html("span"), this.evidence), html("div", { class: "mmpid-race-time" }, this.primary, this.slider, this.output),
        html("div", { class: "mmpid-race-bars" }, html("h3", {}, `${names[0]}: bits known`), html("span"), html("h3", {}, `${names[1]}: bits known`), this.bars.flatMap((bar) => [bar.left, bar.name, bar.right])),
        html("div", { class: "mmpid-race-pair" }, head(names[0], "what the encoders know, bits"), head(names[1], "what the encoders know, bits"), a.known.root, b.known.root, head("Accuracy", "% of held-out samples"), head("Accuracy", "% of held-out samples"), a.accuracy.root, b.accuracy.root),
        html("footer", { class: "mmpid-foot" }, this.foot = html("div", { class: "mmpid-message" })), this.say));
    this.root.addEventListener("keydown", (event) => {
      if (event.key === " " && !event.target.closest("button")) { this.press(); event.preventDefault(); }
      event.stopPropagation();
    });
    el.append(this.root);
    this.forget = followTheme(this.root);
    this.answer = () => this.soon();
    for (const name of ["now", "left", "right", "stories"]) model.on(`change:${name}`, this.answer);
    this.size = new ResizeObserver(this.answer); // bars are drawn to fit the available width
    this.size.observe(this.root);
    this.render();
  }

  dispose() {
    this.forget();
    this.size.disconnect();
    cancelAnimationFrame(this.replaying);
    for (const name of ["now", "left", "right", "stories"]) this.model.off(`change:${name}`, this.answer);
    for (const one of this.charts) { one.known.dispose(); one.accuracy.dispose(); }
  }

  soon() {
    this.waits ??= requestAnimationFrame(() => { this.waits = undefined; this.render(); });
  }

  get clock() { return this.hover ?? this.at ?? this.model.get("now").epoch; }

  press() {
    const { state } = this.model.get("now");
    if (this.replaying) return this.stop();
    if (state !== "finished") return this.model.send({ do: state === "playing" ? "pause" : "play" });
    const started = performance.now(), end = this.model.get("now").epoch;
    const frame = () => {
      const at = Math.floor((end * (performance.now() - started)) / 1000 / REPLAY_SECONDS);
      if (at >= end) { this.at = null; return this.stop(); }
      if (at !== this.at) { this.at = at; this.renderClock(); }
      this.replaying = requestAnimationFrame(frame);
    };
    this.at = 0;
    this.replaying = requestAnimationFrame(frame);
    this.renderClock();
  }

  stop() {
    cancelAnimationFrame(this.replaying);
    this.replaying = null;
    this.renderClock();
  }

  look(at) {
    this.hover = at === null || at === undefined ? null : clamp(Math.round(at), 0, this.model.get("now").epoch);
    this.renderClock();
  }

  move(at) {
    if (this.replaying) this.stop();
    this.hover = null;
    this.at = at >= this.model.get("now").epoch ? null : Math.max(at, 0);
    this.renderClock();
  }

  render() {
    const { model, setup } = this, now = model.get("now");
    if (!now.state) return;
    this.charts.forEach((one, k) => {
      const block = model.get(one.side), context = { end: setup.epochs, pauses: [], switch: now.switch[k] };
      one.known.show(unpacked(block)[0], context);
      const rows = block.accuracy ?? [], trace = { key: "joint", label: "answer", role: "joint", dash: "solid", x: rows.map((row) => row[0]), y: rows.map((row) => row[1]) };
      one.accuracy.show({ limits: [0, 1], areas: [], traces: [trace], ghosts: [], others: [], empty: "" }, context);
    });
    set(this.root, { "data-state": now.state });
    set(this.foot, { text: now.error ? `Training stopped: ${now.error}` : "Starving: an encoder knows less than two thirds of what it knows in the other run, beyond the noise. Each encoder is read by a fresh linear head.", "data-kind": now.error ? "error" : "rest", title: now.error || null });
    this.renderClock();
  }

  renderClock() {
    const { model } = this, now = model.get("now"), at = this.clock;
    if (!now.state) return;
    const playing = now.state === "playing" || this.replaying, finished = now.state === "finished";
    change(this.primary, { words: playing ? "Pause" : finished ? "Replay" : "Play", picture: playing ? "pause" : finished ? "replay" : "play" });
    this.slider.value = at;
    set(this.slider, { "aria-valuetext": `epoch ${at} of ${this.setup.epochs}` });
    set(this.output, { text: `epoch ${at}` });
    for (const one of this.charts) { one.known.clock(at); one.accuracy.clock(at); }
    const stories = model.get("stories"), i = before(stories.map((one) => one.at), at), story = stories[Math.max(i, 0)];
    if (story) this.tell(story, at);
    const wholes = this.charts.map(({ side }) => this.setup.modalities.map((name) => (model.get(side).whole?.[name] ?? []).filter((row) => row[0] <= at).at(-1)));
    this.bars.forEach((bar) => this.drawBars(bar, wholes[0][bar.i], wholes[1][bar.i]));
  }

  tell(story, at) {
    const known = JSON.stringify([story, at]);
    if (this.told === known) return;
    this.told = known;
    this.sentence.replaceChildren(...story.words.map(([words, role]) => (role ? html("span", { style: `color: var(--${role}-text)` }, words) : words)));
    this.evidence.replaceChildren(html("span", { class: "mmpid-mark", "data-sure": story.sure }, html("i"), story.mark), html("b", {}, `Epoch ${at}. `), story.evidence);
    if (this.spoken !== story.situation) set(this.say, { text: this.sentence.textContent });
    this.spoken = story.situation;
  }

  drawBars(bar, left, right) {
    const most = this.setup.entropy, role = `m${bar.i}`;
    for (const [side, mine, other] of [["left", left, right], ["right", right, left]]) {
      const holder = bar[side], width = holder.clientWidth || 300, X = (bits) => (side === "left" ? width - (bits / most) * (width - 44) : (bits / most) * (width - 44));
      const parts = [], rect = (from, to, look) => svg("rect", { x: pixel(Math.min(X(from), X(to))), y: 4, width: pixel(Math.abs(X(to) - X(from))), height: 20, ...look });
      if (mine) {
        parts.push(rect(0, mine[1], { fill: `var(--${role}-area)` }));
        const gap = other ? other[1] - mine[1] : 0, starving = other && mine[2] === 1;
        if (starving) parts.push(rect(mine[1], other[1], { class: "mmpid-gap" }));
        const edge = X(starving ? other[1] : mine[1]), words = starving ? `${two(mine[1])}, ${two(gap)} less` : two(mine[1]);
        parts.push(svg("text", { x: pixel(edge + (side === "left" ? -6 : 6)), y: 18, "text-anchor": side === "left" ? "end" : "start", class: starving ? "mmpid-gap-words" : "" }, words));
      }
      holder.replaceChildren(...parts);
    }
  }
}

export default {
  render({ model, el }) {
    const page = new RacePage(model, el);
    el.mmpidRace = page;
    return () => page.dispose();
  },
};
