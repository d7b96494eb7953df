// The timeline: a lane per encoder, the decisions as flags, and the clock as a thumb. Dragging it moves the clock
// of every chart.

class Timeline {
  /** `names` have a lane each, `ontoggle(name)` pauses or resumes one, `onmove(epoch)` moves the clock. */
  constructor({ names, ontoggle, onmove, onkey, tall = names.length < 4 }) {
    Object.assign(this, { names, onmove, lane: tall ? 24 : 14, tall });
    this.id = freshId("time");
    this.state = html("div", { class: "mmpid-status" });
    this.lanes = names.map((name, i) => {
      const words = html("span", { class: "mmpid-name", title: name }, name), swatch = html("i", { class: "mmpid-swatch", style: `--area: var(--m${i % 6}-line); --line: var(--m${i % 6}-line)` });
      const one = html("button", { type: "button", class: "mmpid-lane", "aria-pressed": "false" }, swatch, words, html("span", { class: "mmpid-lane-icon" }));
      one.addEventListener("click", () => one.getAttribute("aria-disabled") !== "true" && ontoggle(name));
      one.style.height = `${this.lane}px`;
      return one;
    });
    this.present = html("button", { type: "button", class: "mmpid-present", hidden: true, title: "Back to the present (End)" });
    this.present.addEventListener("click", () => onmove(null));
    this.axis = html("div", { class: "mmpid-axis-name" }, "epoch");
    this.svg = svg("svg", { "aria-hidden": "true" });
    this.flags = html("div", { class: "mmpid-flags" });
    this.thumb = html("div", { class: "mmpid-thumb", role: "slider", tabindex: 0, "aria-label": "Time", "aria-valuemin": 0 });
    this.track = html("div", { class: "mmpid-track" }, this.svg, this.flags, this.thumb);
    this.root = html("div", { class: "mmpid-time" }, html("div", { class: "mmpid-lanes" }, this.state, this.lanes, this.extra = html("div"), this.axis, this.present), this.track);
    this.listen(onkey);
  }

  listen(onkey) {
    const at = (event) => this.X?.invert(event.clientX - this.track.getBoundingClientRect().left);
    this.track.addEventListener("pointerdown", (event) => {
      if (event.button || event.target.closest(".mmpid-flag")) return;
      this.held = true;
      this.track.setPointerCapture(event.pointerId);
      this.onmove(at(event));
      this.thumb.focus({ preventScroll: true });
      event.preventDefault();
    });
    this.track.addEventListener("pointermove", (event) => this.held && this.onmove(at(event)));
    for (const name of ["pointerup", "pointercancel"]) this.track.addEventListener(name, () => { this.held = false; });
    this.thumb.addEventListener("keydown", onkey);
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.track);
  }

  dispose() {
    this.size.disconnect();
  }

  show(now, events, answer) {
    Object.assign(this, { now, events, answer });
    this.names.forEach((name, i) => {
      const active = now.active.includes(name), off = now.dead || now.stage === "joint" || now.state === "finished", lane = this.lanes[i];
      set(lane, { "aria-pressed": String(!active), "aria-disabled": off ? "true" : null, "aria-label": `${active ? "Pause" : "Resume"} ${name}`, title: off ? name : `${active ? "Pause" : "Resume"} ${name}` });
      const holder = lane.lastChild, wanted = off || !this.tall ? "" : active ? "pause" : "play";
      if (holder.shown !== wanted) holder.replaceChildren(...((holder.shown = wanted) ? [icon(wanted, 12)] : []));
    });
    this.draw();
  }

  draw() {
    const width = this.track.clientWidth, { now, events } = this;
    if (!width || !now) return;
    const branches = (events.branches ?? []).slice(0, 3), top = 20, lanes = this.names.length * this.lane;
    const bottom = top + lanes + 24 * branches.length, end = now.end, present = now.epoch;
    this.X = scale(0, end, 8, width - 12);
    this.bottom = bottom;
    set(this.svg, { viewBox: `0 0 ${width} ${bottom + 24}`, width, height: bottom + 24 });
    this.track.style.height = `${bottom + 24}px`;
    this.extra.replaceChildren(...branches.map((run) => html("div", { class: "mmpid-branch-name", title: run.name }, html("i", { class: "mmpid-swatch dashed" }), html("span", { class: "mmpid-name" }, run.name))));
    const X = (epoch) => pixel(this.X(clamp(epoch, 0, end))), parts = [hatches(this.id)], joint = events.switch ?? null;
    const middle = top + lanes / 2;
    if (joint !== null) parts.push(svg("rect", { x: X(joint), y: 0, width: Math.max(X(Math.max(present, joint)) - X(joint), 0), height: bottom, class: "mmpid-stage2" }));
    this.names.forEach((name, i) => {
      const y = top + this.lane * (i + 0.5), role = `m${i % 6}`, thick = this.tall ? 8 : 6, to = joint === null ? present : Math.min(present, joint);
      if (joint === null) parts.push(svg("path", { d: `M${X(present)} ${y}H${X(end)}`, class: "mmpid-future" }));
      parts.push(svg("path", { d: `M${X(0)} ${y}H${X(to)}`, stroke: `var(--${role}-line)`, "stroke-width": thick, class: "mmpid-lane-line", "data-lane": name }));
      for (const pause of (events.pauses ?? []).filter((one) => one.who === name)) {
        const box = { x: X(pause.from), y: y - thick / 2 - 1, width: Math.max(X(pause.to) - X(pause.from), 2), height: thick + 2 };
        parts.push(svg("rect", { ...box, class: "mmpid-lane-pause" }), svg("rect", { ...box, fill: `url(#${this.id}-maybe)`, class: "mmpid-lane-edge" }));
      }
      if (joint !== null) {
        const bend = Math.min(26, Math.max(X(end) - X(joint), 4));
        parts.push(svg("path", { d: `M${X(joint)} ${y}C${X(joint) + bend * 0.6} ${y} ${X(joint) + bend * 0.4} ${middle} ${X(joint) + bend} ${middle}`, class: "mmpid-joint-line", "stroke-width": thick }));
      }
    });
    if (joint !== null) {
      const from = X(joint) + Math.min(26, Math.max(X(end) - X(joint), 4));
      if (X(present) > from) parts.push(svg("path", { d: `M${from} ${middle}H${X(present)}`, class: "mmpid-joint-line", "stroke-width": 8 }));
      if (present < end) parts.push(svg("path", { d: `M${Math.max(X(present), from)} ${middle}H${X(end)}`, class: "mmpid-future" }));
    }
    if (events.left) parts.push(svg("path", { d: `M${X(present)} ${top + lanes - 4}H${X(events.left)}`, class: "mmpid-left-behind" }));
    branches.forEach((run, i) => {
      const y = top + lanes + 24 * i + 12;
      parts.push(svg("path", { d: `M${X(run.from)} ${top + lanes - this.lane / 2}C${X(run.from)} ${y} ${X(run.from) + 4} ${y} ${X(run.from) + 12} ${y}H${Math.max(X(run.to), X(run.from) + 12)}`, class: "mmpid-branch-line" }));
      const end_ = Math.max(X(run.to), X(run.from) + 12), room = width - end_ > 130;
      parts.push(svg("text", { x: room ? end_ + 6 : X(run.from) + 16, y: room ? y + 4 : y - 4, class: "mmpid-event" }, run.says));
    });
    for (const probe of events.probes ?? []) parts.push(svg("circle", { cx: X(probe), cy: bottom, r: events.probes.length > width / 9 ? 1.5 : 3, class: "mmpid-probe", "data-at": probe }));
    for (const epoch of ticks(0, end, Math.max(2, Math.floor(width / 70)), true)) parts.push(svg("text", { x: X(epoch), y: bottom + 18, "text-anchor": "middle", class: "mmpid-tick", "data-at": epoch }, String(epoch)));
    if (this.answer?.epoch !== null && this.answer?.epoch !== undefined) parts.push(svg("path", { d: `M${X(this.answer.epoch)} 12V${bottom}`, class: "mmpid-what" }));
    this.veil = svg("rect", { y: 18, height: bottom - 12, class: "mmpid-veil" });
    this.svg.replaceChildren(...parts, this.veil);
    this.drawFlags(X);
    this.clock(this.at ?? present);
  }

  drawFlags(X) {
    let taken = -99;
    const parts = [];
    (this.events.flags ?? []).forEach((flag, i, all) => {
      const x = X(flag.at), next = all[i + 1], words = flag.words.replace("joint training starts", "stage 2: joint training"), long = words.length * 6.2 + 26;
      if (x - taken < 6 && flag.icon !== "join") return; // one flag per place, but the start of joint training always shows
      taken = x;
      const room = (next ? X(next.at) : this.track.clientWidth) - x;
      const one = html("button", { type: "button", class: `mmpid-flag ${flag.icon}`, style: `left: ${x}px`, title: `epoch ${flag.at}: ${flag.words} (${flag.by}). ${flag.why}`, "aria-label": `Epoch ${flag.at}: ${flag.words}, by ${flag.by}. ${flag.why}` }, html("span", { class: "mmpid-flag-sign" }, icon(flag.icon, 10)));
      one.addEventListener("click", () => this.onmove(flag.at));
      parts.push(one);
      if (room > long) parts.push(html("span", { class: "mmpid-flag-words", style: `left: ${x + 12}px`, "aria-hidden": "true" }, words));
    });
    this.flags.replaceChildren(...parts);
  }

  /** Move the thumb; `present` is false while the user looks back. */
  clock(at, words, looksBack, replaying) {
    this.at = at;
    if (!this.X) return;
    const x = pixel(this.X(clamp(at, 0, this.now.end)));
    set(this.thumb, { text: epochWords(at), "aria-valuenow": at, "aria-valuemax": this.now.end, "aria-valuetext": words ?? null });
    this.thumb.style.cssText = `transform: translateX(${x}px); top: ${this.bottom + 4}px; --reach: ${this.bottom}px`;
    set(this.veil, { x: pixel(x), width: looksBack ? Math.max(this.X(this.now.end) - x + 6, 0) : 0 });
    set(this.present, { hidden: !looksBack || !!replaying, text: `to epoch ${epochWords(this.now.epoch)}` });
    set(this.axis, { hidden: !!looksBack && !replaying });
  }
}
