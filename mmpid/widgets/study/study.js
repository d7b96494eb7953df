// A grid of runs: one button each; the pressed one says below what became of it.

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

class StudyPage {
  constructor(model, el) {
    this.model = model;
    this.words = element("p", { class: "mmpid-study-words", role: "status" });
    this.grid = element("div", { class: "mmpid-study-grid", role: "group", "aria-label": "Runs of the study" });
    this.detail = element("div", { class: "mmpid-study-detail", "aria-live": "polite" });
    this.buttons = new Map();
    this.root = element("section", { class: "mmpid-page mmpid-study", "aria-label": "Study" }, this.words, this.grid, this.detail);
    // no key pressed in it is a command of the notebook
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
    const { rows = [], seeds = [] } = this.model.get("scene");
    this.words.textContent = this.model.get("words") || "The study has not begun.";
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

  layOut(rows, seeds, shape) {
    this.shape = shape;
    this.buttons.clear();
    const parts = [element("span"), ...seeds.map((seed) => element("span", { class: "mmpid-study-seed" }, `seed ${seed}`))];
    for (const row of rows) {
      parts.push(element("span", { class: "mmpid-study-name" }, row.name));
      for (const seed of seeds) {
        const cell = row.cells.find((one) => one.seed === seed);
        if (!cell) { parts.push(element("span")); continue; }
        const button = element("button", { type: "button", class: "mmpid-study-cell" });
        button.addEventListener("click", () => { this.model.set("chosen", cell.folder); this.model.save_changes(); this.draw(); });
        this.buttons.set(cell.folder, button);
        parts.push(button);
      }
    }
    this.grid.style.gridTemplateColumns = `max-content repeat(${seeds.length}, minmax(44px, 64px))`;
    this.grid.replaceChildren(...parts);
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
