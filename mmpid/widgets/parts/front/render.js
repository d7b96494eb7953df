// How the board shows its state; board.js has its actions.

Object.assign(Board.prototype, {
  /** Show everything; with `anew`, redraw the charts. */
  render(anew) {
    const { now, model } = this, expert = this.level === "expert", dead = this.dead;
    if (!now.state) return;
    this.stale = false;
    const shown = this.gone ? "gone" : now.state;
    set(this.root, { "data-state": shown, "data-level": this.level, "data-many": this.many ? String(this.setup.modalities.length) : null });
    set(this.timeline.state, { "data-state": this.gone ? "gone" : now.state });
    this.levels.choose(this.level);
    const answer = this.what ? model.get("answer") : null, events = model.get("events");
    this.timeline.show({ ...now, dead }, { pauses: [], ...events }, answer);
    if (anew) this.renderCharts(events, now);
    this.renderState(now);
    this.renderFoot(now, answer, expert);
    set(this.whatRow, { hidden: !this.what });
    set(this.heroHead, { hidden: !!this.what });
    set(this.views, { hidden: !expert || this.many });
    set(this.whatButton, { hidden: this.many });
    set(this.rights, { hidden: !expert });
    set(this.rightHead.querySelector("h3"), { hidden: expert });
    set(this.rightHead.querySelector(".mmpid-quiet"), { hidden: expert && this.right === "loss" });
    this.rights.choose(this.right);
    this.views.choose(this.lines ? "lines" : "areas");
    if (this.stack) this.renderWhat(answer);
    this.renderClock();
  },

  renderCharts(events, now) {
    const context = { end: now.end, pauses: events.pauses ?? [], switch: events.switch ?? null };
    const loss = this.right === "loss" && this.level === "expert", lines = this.lines && this.level === "expert";
    set(this.accuracy.root, { hidden: loss });
    set(this.loss.root, { hidden: !loss });
    (loss ? this.loss : this.accuracy).show((loss ? this.lossData : this.accuracyData).charts[0], context);
    if (this.stack) {
      set(this.stack.root, { hidden: lines });
      set(this.atoms.root, { hidden: !lines });
      (lines ? this.atoms : this.stack).show((lines ? this.atomsData : this.knownData).charts[0], context);
    } else this.boxes.forEach((box, i) => {
      const pauses = context.pauses.filter((pause) => pause.who === box.name);
      box.chart.show(this.knownData.charts[i], { ...context, pauses });
    });
  },

  renderState(now) {
    const words = { idle: "Ready", playing: "Training", paused: "Paused", finished: "Finished", failed: "Failed", closed: "Stopped", gone: "No kernel" };
    const pictures = { playing: "play", paused: "pause", finished: "check", failed: "flag", closed: "close", gone: "off" }, shown = this.gone ? "gone" : now.state;
    const name = now.runs.length > 1 ? ` · ${now.run}` : "";
    if (this.shownState !== shown + name) {
      this.shownState = shown + name;
      this.timeline.state.replaceChildren(icon(pictures[shown] ?? "dot", 12), html("span", {}, words[shown] + name));
    }
  },

  /** Move everything that follows the clock. */
  renderClock() {
    const { now } = this, at = this.clock, past = this.hover === null && this.looksBack, expert = this.level === "expert";
    if (!now.state) return;
    const act = this.epochToActOn();
    this.toolbar.show(now, { dead: this.dead, replaying: !!this.replaying, looksBack: this.looksBack, at: act, expert });
    this.timeline.clock(at, `epoch ${epochWords(at)} of ${now.end}, ${now.stage === "joint" ? "stage 2" : "stage 1"}${now.active.length < this.setup.modalities.length ? `, ${this.setup.modalities.filter((name) => !now.active.includes(name)).join(", ")} paused` : ""}`, this.looksBack, this.replaying);
    if (this.stack) {
      const whiskers = this.readouts.show(this.knownData.charts[0], this.atomsData.charts[0], at, this.knownData);
      this.stack.whiskers = () => whiskers;
    } else this.renderBoxes(at);
    for (const chart of this.charts) if (!chart.root.hidden) chart.clock(at);
    if (this.stack) this.readouts.lead(this.lines && expert ? {} : this.stack.middles);
    this.renderHeadline(this.storyAt(past || this.hover !== null ? at : null));
    this.lower.show(now, this.strengthData, this.model.get("panel"), { expert, tab: this.tab, at });
  },

  renderBoxes(at) {
    const wholes = this.boxes.map((box, i) => {
      const areas = this.knownData.charts[i]?.areas ?? [], k = areas.length ? before(areas[0].x, at) : -1;
      return k < 0 ? NaN : areas[1].high[k];
    });
    const finite = wholes.filter(Number.isFinite), least = Math.min(...finite), most = Math.max(...finite);
    this.boxes.forEach((box, i) => {
      const active = this.now.active.includes(box.name), off = this.dead || this.now.stage === "joint" || this.now.state === "finished";
      set(box.value, { text: Number.isFinite(wholes[i]) ? two(wholes[i]) : "–" });
      set(box.word, { text: finite.length < 2 || finite.filter((one) => one === (wholes[i] === least ? least : most)).length > 1 ? "" : wholes[i] === least ? "least" : wholes[i] === most ? "most" : "" });
      change(box.pause, { picture: active ? "pause" : "play", off, tip: `${active ? "Pause" : "Resume"} ${box.name}` });
      set(box.pause, { "aria-label": `${active ? "Pause" : "Resume"} ${box.name}`, hidden: off });
    });
  },

  /** The headline of an epoch, or of the present. */
  storyAt(epoch) {
    if (epoch === null) return { ...this.now.headline, present: true };
    const stories = this.model.get("stories"), i = before(stories.map((one) => one.at), epoch);
    return i < 0 ? { ...this.now.headline, present: true } : stories[i];
  },

  renderHeadline(story) {
    const known = JSON.stringify([story, this.gone]);
    if (this.toldStory === known) return;
    this.toldStory = known;
    const color = (role) => (role === "error" ? "var(--error)" : role ? `var(--${role}-text)` : null);
    this.sentence.replaceChildren(...story.words.map(([words, role]) => (role ? html("span", { style: `color: ${color(role)}` }, words) : words)));
    this.sentence.title = story.words.map(([words]) => words).join("");
    const mark = story.sure ? html("span", { class: "mmpid-mark", "data-sure": story.sure }, html("i"), story.mark) : null;
    const next = story.present && story.next ? [html("b", {}, " Next: "), story.next] : [];
    const epoch = story.epoch === null || story.epoch === undefined ? [] : [html("b", {}, `Epoch ${epochWords(story.epoch)}. `)];
    this.evidence.replaceChildren(...[mark, ...epoch, story.evidence, ...next].filter(Boolean));
    if (story.present && this.spoken !== story.situation) {
      this.spoken = story.situation;
      set(this.say, { text: `${this.sentence.title} ${story.mark}` });
    }
  },

  renderFoot(now, answer, expert) {
    const gone = this.gone && { words: "The kernel is gone; looking back works. To train, run the notebook's cells (from epoch 0) or mmpid.Trainer.load.", kind: "error" };
    const message = gone || (now.question?.words && { words: now.question.words, kind: "refused" }) || (now.failure && { words: `${now.failure.summary}${now.failure.advice ? ` ${now.failure.advice}` : ""}`, kind: "error" }) || (answer?.words && now.message.kind === "rest" ? { words: `What if: ${answer.words}`, kind: "rest" } : now.message);
    const known = JSON.stringify([message, now.question, now.undo, !!now.failure]);
    if (this.toldFoot !== known) {
      this.toldFoot = known;
      this.foot.replaceChildren(html("span", {}, message.words), message.code ? html("code", {}, message.code) : "");
      set(this.foot, { title: `${message.words} ${message.code ?? ""}`, "data-kind": message.kind, role: message.kind === "error" || message.kind === "refused" ? "alert" : "log" });
      const act = (words, onpress, kind = "") => button(words, { kind: `small ${kind}`, onpress });
      const parts = [];
      if (now.question?.words) parts.push(act(now.question.yes, () => { this.at = null; this.send({ do: "confirm" }); }, "strong"), act("Cancel", () => this.send({ do: "cancel" })));
      else if (now.failure && !gone) parts.push(act("Show details", () => this.openDetails(now.failure)));
      else if (now.undo) parts.push(act("Undo rewind", () => this.send({ do: "undo" })));
      if (["said", "refused"].includes(now.message.kind) && !now.question?.words && !gone && !now.failure) parts.push(act("Dismiss", () => this.send({ do: "dismiss" })));
      const focused = this.footButtons.contains(this.root.getRootNode().activeElement);
      this.footButtons.replaceChildren(...parts);
      if (now.question?.words) parts[0].focus();
      else if (focused) (parts[0] ?? this.toolbar.primary).focus();
    }
    const words = [["Decisions", now.counts.decisions], ["What stands out", now.counts.findings]];
    this.links.forEach((link, i) => set(link, { text: `${words[i][0]} ${words[i][1]}`, hidden: expert || !words[i][1] }));
    set(this.progress, { text: now.progress + (expert ? ` · ${now.device}` : "") });
  },

  openDetails(failure) {
    const pre = html("pre", { tabindex: 0 });
    pre.textContent = failure.trace;
    this.open("Traceback", pre);
  },

  renderWhat(answer) {
    const { stack } = this, shown = this.what && stack.X && !stack.root.hidden;
    set(this.handle, { hidden: !shown });
    if (!shown) return;
    const at = answer?.epoch ?? null, x = stack.X(at ?? this.now.end), left = x > (stack.edge.left + stack.edge.right) / 2;
    this.handle.style.transform = `translateX(${pixel(x)}px)`;
    set(this.handle, { "data-side": left ? "left" : "right", "data-none": at === null ? "true" : null });
    set(this.handle.firstChild, { text: answer?.head ?? "…" });
  },
});

export default {
  render({ model, el }) {
    const board = new Board(model, el);
    el.mmpidBoard = board; // for tests that look at the page
    return () => board.dispose();
  },
};
