// The toolbar: one primary action, steps, speed, who decides, joint training, and actions on the past.

class Toolbar {
  constructor(board) {
    this.board = board;
    const ask = (said) => () => board.send(said);
    this.primary = button("Play", { icon: "play", kind: "primary", onpress: () => board.primary() });
    this.step = button("Step", { icon: "step", onpress: ask({ do: "step", of: "epoch" }), tip: "Train one epoch (E)" });
    this.stepMore = button("", { icon: "down", kind: "more", name: "More steps" });
    this.stepMenu = menu(this.stepMore, () => [["One batch", ask({ do: "step", of: "batch" }), "B"], ["One epoch", ask({ do: "step", of: "epoch" }), "E"], ["To the next probe", ask({ do: "step", of: "probe" }), "N"], ["Probe now", ask({ do: "probe" }), "P"]], "Steps");
    this.speed = html("select", { class: "mmpid-select speed", "aria-label": "Speed", title: "How fast it trains, and how fast a finished run is replayed" },
      ...[["full", "full speed"], ["4", "4 epochs/s"], ["1", "1 epoch/s"]].map(([value, words]) => html("option", { value }, words)));
    this.speed.addEventListener("change", () => board.send({ do: "speed", value: this.speed.value }));
    this.who = choiceOf("Who decides", { auto: "Auto", manual: "Manual" }, (value) => board.send({ do: "auto", value: value === "auto" }));
    this.joint = button("Start joint training", { icon: "join", kind: "joint", onpress: () => board.joint() });
    this.jointMore = button("", { icon: "down", kind: "more", name: "Start joint training from" });
    this.jointMenu = menu(this.jointMore, () => this.starts(), "Where to start from");
    this.branch = button("Branch", { icon: "branch", kind: "far", onpress: () => board.branch(), tip: "A second run that starts from the epoch of the clock" });
    this.rewind = button("Rewind", { icon: "back", kind: "far", onpress: () => board.rewind(), tip: "Go back to the epoch of the clock, in this run" });
    const split = (...parts) => html("span", { class: "mmpid-split" }, ...parts);
    this.root = html("div", { class: "mmpid-toolbar", role: "toolbar", "aria-label": "Training" }, this.primary, split(this.step, this.stepMore, this.stepMenu), this.speed, this.who, split(this.joint, this.jointMore, this.jointMenu), this.branch, this.rewind);
    this.rove();
  }

  starts() {
    const { board } = this, { now } = board, off = now.stage === "joint" || board.dead, at = board.epochToActOn();
    return [
      ["Joint from the best probe", () => board.send({ do: "joint", start: "best" }), null, off], ["Joint from now", () => board.send({ do: "joint", start: "now" }), null, off],
      at === null ? null : [`Joint from epoch ${at}`, () => board.send({ do: "joint", start: at }), "J", off], null,
      ["Branch…", () => board.branch(), null, board.dead || at === null], ["Rewind", () => board.rewind(), null, board.dead || at === null],
    ].filter((item, i, all) => item || (i && all[i - 1]));
  }

  /** One stop of the tab key, arrows inside. */
  rove() {
    const all = () => [...this.root.querySelectorAll(":scope > button, .mmpid-split > button, select, [role=radio][aria-checked=true]")].filter((one) => one.offsetParent);
    this.root.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], list = all(), now = list.indexOf(event.target);
      if (!step || now < 0 || event.target.getAttribute("role") === "radio") return;
      list[(now + step + list.length) % list.length].focus();
      event.preventDefault();
      event.stopPropagation();
    });
    this.root.addEventListener("focusin", (event) => {
      for (const one of all()) set(one, { tabindex: one === event.target ? 0 : -1 });
    });
    for (const one of this.root.querySelectorAll("button, select")) if (!one.closest("[role=radiogroup], [role=menu]")) set(one, { tabindex: one === this.primary ? 0 : -1 });
  }

  show(now, { dead, replaying, looksBack, at, expert }) {
    const playing = now.state === "playing" || replaying;
    const [words, picture] = playing ? ["Pause", "pause"] : now.state === "finished" ? ["Replay", "replay"] : ["Play", "play"];
    change(this.primary, { words, picture, off: dead && now.state !== "finished", tip: now.state === "finished" ? "Move the clock through the run; nothing is trained (Space)" : `${words} (Space)` });
    const over = dead || now.state === "finished";
    for (const one of [this.step, this.stepMore]) change(one, { off: over });
    if (this.speed.value !== now.speed) this.speed.value = now.speed;
    this.speed.disabled = dead && now.state !== "finished";
    this.who.choose(now.auto ? "auto" : "manual", dead || now.stage === "joint");
    const from = looksBack && at !== null && now.stage !== "joint";
    change(this.joint, { words: from ? `Joint from epoch ${at}` : "Start joint training", off: dead || now.stage === "joint", tip: now.auto && !from ? "Begin stage 2 from the best probe so far; learning rates become those of stage 2 (J)" : "Begin stage 2; learning rates become those of stage 2 (J)" });
    set(this.joint, { class: `mmpid-button joint ${from ? "go" : ""}` });
    change(this.jointMore, { off: dead });
    for (const one of [this.branch, this.rewind]) {
      set(one, { hidden: !(looksBack || expert) });
      change(one, { off: dead || at === null });
    }
  }
}
