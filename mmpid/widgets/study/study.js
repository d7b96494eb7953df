// A grid of runs: one button each; the pressed one shows its outcome below. The grid is one stop of the Tab key;
// arrows, Home and End go from run to run.

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

class StudyPage {
  constructor(model, el) {
    this.model = model;
    this.words = element("p", { class: "mmpid-study-words" });
    this.say = element("div", { class: "mmpid-unseen", role: "status", "aria-live": "polite" });
    this.grid = element("div", { class: "mmpid-study-grid", role: "group", "aria-label": "Runs of the study" });
    this.detail = element("div", { class: "mmpid-study-detail" });
    this.buttons = new Map();
    this.table = [];
    this.unit = element("span", { class: "mmpid-study-unit" });
    this.root = element("section", { class: "mmpid-page mmpid-study", "aria-label": "Study" }, this.words, this.say, this.grid, this.detail);
    this.grid.addEventListener("keydown", (event) => this.move(event));
    this.grid.addEventListener("focusin", (event) => this.stopAt(event.target));
    // keys pressed in it are never notebook commands
    this.root.addEventListener("keydown", (event) => { if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation(); });
    el.append(this.root);
    this.forget = followTheme(this.root);
    this.answer = () => { this.waits ??= requestAnimationFrame(() => { this.waits = undefined; this.draw(); }); };
    for (const name of ["scene", "words", "chosen"]) model.on(`change:${name}`, this.answer);
    this.draw();
  }

  dispose() {
    this.forget();
    for (const name of ["scene", "words", "chosen"]) this.model.off(`change:${name}`, this.answer);
  }

  draw() {
    const { rows = [], seeds = [], counts = {}, unit = "" } = this.model.get("scene");
    this.words.textContent = this.model.get("words") || "The study has not begun.";
    this.announce(counts);
    this.unit.textContent = unit;
    const shape = JSON.stringify([seeds, rows.map((row) => [row.name, row.cells.map((cell) => cell.folder)])]);
    if (shape !== this.shape) this.layOut(rows, seeds, shape);
    for (const row of rows) {
      for (const cell of row.cells) {
        const button = this.buttons.get(cell.folder);
        const name = `${row.name}, seed ${cell.seed}: ${cell.state}. ${cell.detail}`;
        if (button.dataset.state !== cell.state) button.dataset.state = cell.state;
        if (button.textContent !== cell.mark) button.textContent = cell.mark;
        if (button.title !== name) { button.title = name; button.setAttribute("aria-label", name); }
      }
    }
    this.tell(rows);
  }

  // A reader hears of a failure and of the end, not of every second.
  announce({ failed = 0, waiting = 1, running = 0 }) {
    const news = `${failed} ${waiting + running === 0}`;
    if (news !== this.news && (failed || waiting + running === 0)) this.say.textContent = this.words.textContent;
    this.news = news;
  }

  layOut(rows, seeds, shape) {
    this.shape = shape;
    const held = [...this.buttons].find(([, button]) => button.tabIndex === 0)?.[0];
    const focused = this.grid.contains(this.grid.getRootNode().activeElement ?? null);
    this.buttons.clear();
    this.table = rows.map(() => []);
    const parts = [this.unit, ...seeds.map((seed) => element("span", { class: "mmpid-study-seed" }, `seed ${seed}`))];
    for (const [y, row] of rows.entries()) {
      parts.push(element("span", { class: "mmpid-study-name" }, row.name));
      for (const [x, seed] of seeds.entries()) {
        const cell = row.cells.find((one) => one.seed === seed);
        if (!cell) { parts.push(element("span")); continue; }
        const button = element("button", { type: "button", class: "mmpid-study-cell", tabindex: "-1" });
        this.table[y][x] = button;
        button.addEventListener("click", () => { this.model.set("chosen", cell.folder); this.model.save_changes(); this.draw(); });
        this.buttons.set(cell.folder, button);
        parts.push(button);
      }
    }
    this.grid.style.gridTemplateColumns = `max-content repeat(${seeds.length}, minmax(44px, 64px))`;
    this.grid.replaceChildren(...parts);
    const stop = this.buttons.get(held) ?? this.buttons.values().next().value;
    if (stop) stop.tabIndex = 0;
    if (focused) stop?.focus();
  }

  stopAt(button) {
    for (const one of this.buttons.values()) one.tabIndex = one === button ? 0 : -1;
  }

  move(event) {
    const row = this.table.find((one) => one.includes(event.target));
    if (!row) return;
    const y = this.table.indexOf(row), x = row.indexOf(event.target), column = this.table.map((one) => one[x]);
    const way = {
      ArrowLeft: row.slice(0, x).reverse(), ArrowRight: row.slice(x + 1), Home: row, End: [...row].reverse(),
      ArrowUp: column.slice(0, y).reverse(), ArrowDown: column.slice(y + 1),
    }[event.key];
    if (!way) return;
    event.preventDefault();
    way.find((one) => one)?.focus();
  }

  tell(rows) {
    const folder = this.model.get("chosen");
    for (const [place, button] of this.buttons) button.setAttribute("aria-pressed", String(place === folder));
    for (const row of rows) {
      const cell = row.cells.find((one) => one.folder === folder);
      if (!cell) continue;
      const text = `${row.name}, seed ${cell.seed}: ${cell.state}. ${cell.detail}`;
      if (this.told === text) return;
      this.told = text;
      this.detail.replaceChildren(element("div", {}, text), element("code", {}, cell.folder));
      return;
    }
  }
}

export default {
  render({ model, el }) {
    const page = new StudyPage(model, el);
    return () => page.dispose();
  },
};
