// The dialogs of the board: "what if" another rule had decided, and the small forms.

Object.assign(Board.prototype, {
  buildWhat() {
    this.rule = html("select", { class: "mmpid-select small", "aria-label": "Rule" }, Object.entries(this.setup.questions).map(([value, one]) => html("option", { value }, one.words)));
    this.threshold = html("input", { type: "range", class: "mmpid-slider", "aria-label": "Threshold" });
    this.unit = html("span", { class: "mmpid-quiet" });
    this.use = button("Use", { icon: "check", kind: "small", tip: "Let the controller follow this rule from now on", onpress: () => this.send({ do: "use_rule", ...this.what }) });
    const close = button("", { icon: "close", kind: "small", name: "Close what if", onpress: () => this.toggleWhat(false) });
    this.rule.addEventListener("change", () => { this.askRule(this.rule.value); this.threshold.focus(); });
    this.threshold.addEventListener("input", () => this.askRule(this.rule.value, Number(this.threshold.value)));
    return html("div", { class: "mmpid-chart-head mmpid-what-row", hidden: true }, html("h3", {}, "What if"), this.rule, this.threshold, this.unit, html("span", { class: "push" }), this.use, close);
  },

  toggleWhat(open = !this.what) {
    if (open) this.askRule(this.rule.value);
    else { this.what = null; this.send({ do: "what_if" }); }
    this.render(true);
    (open ? this.threshold : this.whatButton).focus();
  },

  askRule(rule, value) {
    const one = this.setup.questions[rule], asked = value ?? one.value;
    this.what = { rule, value: asked };
    for (const [name, what] of Object.entries({ min: one.low, max: one.high, step: one.step })) this.threshold[name] = what;
    this.threshold.value = asked;
    this.unit.textContent = one.unit.replace("{}", String(Number(asked.toFixed(2))));
    set(this.threshold, { "aria-valuetext": this.unit.textContent });
    this.send({ do: "what_if", ...this.what });
    this.soon();
  },

  /** The diamond on the line: right means later, so a fixed epoch follows it, and any other threshold moves along. */
  dragHandle() {
    let from = null;
    this.handle.addEventListener("pointerdown", (event) => { from = { x: event.clientX, value: this.what.value }; this.handle.setPointerCapture(event.pointerId); event.preventDefault(); event.stopPropagation(); });
    this.handle.addEventListener("pointermove", (event) => {
      if (!from || !this.what) return;
      const one = this.setup.questions[this.what.rule], width = this.stack.edge.right - this.stack.edge.left, dx = event.clientX - from.x;
      const later = this.what.rule === "epoch" ? (dx / width) * this.now.end : -(dx / width) * (one.high - one.low);
      const value = Math.round((from.value + later) / one.step) * one.step;
      this.askRule(this.what.rule, clamp(Number(value.toFixed(3)), one.low, one.high));
    });
    for (const name of ["pointerup", "pointercancel"]) this.handle.addEventListener(name, () => { from = null; });
  },

  openSave() {
    const folder = html("input", { type: "text", class: "mmpid-field folder", "aria-label": "Folder", value: this.now.folder });
    const to = (what) => () => { this.send({ do: what, folder: folder.value }); this.closePopover(); };
    this.open("Save the run", html("label", {}, "Folder ", folder), button("Save", { kind: "small strong", onpress: to("save"), tip: "Write record, model and checkpoints" }), button("Export report", { kind: "small", onpress: to("report"), tip: "Write one HTML page beside it" }));
    folder.select();
  },

  open(title, ...parts) {
    this.opener = this.root.getRootNode().activeElement;
    this.popover.replaceChildren(html("h3", {}, title), ...parts, button("", { icon: "close", kind: "small", name: "Close", onpress: () => this.closePopover() }));
    set(this.popover, { hidden: false, "aria-label": title });
    this.popover.querySelector("input, button")?.focus();
  },

  closePopover() {
    set(this.popover, { hidden: true });
    (this.opener?.isConnected ? this.opener : this.root).focus();
  },

  openKeys() {
    this.open("Keys", html("dl", { class: "mmpid-keys" }, KEYS.flatMap(([key, words]) => [html("dt", {}, html("kbd", {}, key)), html("dd", {}, words)])));
  },
});
