// Elements, icons and menus. The files of this folder are put together into one module by mmpid/widgets/parts/page.py.

const SVG_SPACE = "http://www.w3.org/2000/svg";
let madeSoFar = 0;

/** A name that no other element of the page has. */
const freshId = (stem) => `${stem}-${Date.now().toString(36)}-${++madeSoFar}`;

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const html = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG_SPACE, tag), attributes, children);

/** Set what differs; nothing is read back from the page. */
function set(element, attributes) {
  const known = (element.known ??= {});
  for (const [name, value] of Object.entries(attributes)) {
    if (known[name] === value) continue;
    known[name] = value;
    if (name === "text") element.textContent = value;
    else if (value === null || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

/** Text that may stand in HTML. */
const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const ICONS = {
  play: ["M4.5 2.5v11L13 8z", true], pause: ["M4 3h2.8v10H4zM9.200 3H12v10H9.200z", true],
  step: ["M3 3l7 5-7 5zM11.200 3H13v10h-1.800z", true], down: ["M4 6l4 4 4-4"],
  more: ["M2.500 7h2v2h-2zM7 7h2v2H7zM11.500 7h2v2h-2z", true], join: ["M2 3c5 0 4 5 8 5h4M2 13c5 0 4-5 8-5M11 5l3 3-3 3"],
  branch: ["M5 2v12M5 10c0-4 6-2 6-6"], back: ["M6 3L2 7l4 4M2 7h7a3.500 3.500 0 010 7H6"], replay: ["M3 8a5 5 0 105-5H5M7.500.8L5 3l2.500 2.400"],
  close: ["M4 4l8 8M12 4l-8 8"], check: ["M3 8.500l3.500 3.500L13 4.500"], rate: ["M2 13C7 13 6 3 14 3"], flag: ["M4 2v12M4 3h8l-2 3 2 3H4"],
  off: ["M8 1.500V7M4.300 4a5.200 5.200 0 107.400 0"], dot: ["M8 5a3 3 0 110 6 3 3 0 010-6z", true],
};

/** A small picture that says nothing by itself. */
function icon(name, size = 14) {
  const [d, filled] = ICONS[name] ?? ICONS.dot;
  const look = filled ? { fill: "currentColor" } : { fill: "none", stroke: "currentColor", "stroke-width": 1.6 };
  const shape = svg("path", { d, "stroke-linecap": "round", "stroke-linejoin": "round", ...look });
  return svg("svg", { width: size, height: size, viewBox: "0 0 16 16", "aria-hidden": "true", class: "mmpid-icon" }, shape);
}

/** A button; one that cannot be pressed now keeps its focus, so it is not disabled but says so. */
function button(words, { icon: picture, onpress, kind = "", tip, name } = {}) {
  const label = html("span", { class: "mmpid-words" }, words);
  const attributes = { type: "button", class: `mmpid-button ${kind}`, title: tip, "aria-label": name };
  const made = html("button", attributes, picture ? icon(picture) : null, words ? label : null);
  made.addEventListener("click", (event) => {
    if (made.getAttribute("aria-disabled") !== "true") onpress?.(event);
  });
  return Object.assign(made, { label, picture });
}

/** Change the words, the picture and the state of a button where they differ. */
function change(made, { words, picture, off, tip }) {
  if (words !== undefined && made.said !== words) made.label.textContent = made.said = words;
  if (picture !== undefined && made.picture !== picture) {
    made.querySelector("svg")?.replaceWith(icon(picture));
    made.picture = picture;
  }
  if (off !== undefined) set(made, { "aria-disabled": off ? "true" : null });
  if (tip !== undefined) set(made, { title: tip });
}

/** Two or more words of which one is chosen. */
function choiceOf(label, options, onchoose, small = false) {
  const group = html("div", { class: `mmpid-choice ${small ? "small" : ""}`, role: "radiogroup", "aria-label": label });
  const all = Object.entries(options).map(([value, words]) => {
    const one = html("button", { type: "button", role: "radio", class: "mmpid-option" }, words);
    one.addEventListener("click", () => one.getAttribute("aria-disabled") !== "true" && onchoose(value));
    one.value = value;
    return one;
  });
  group.append(...all);
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const next = all[(all.indexOf(document.activeElement ?? all[0]) + step + all.length) % all.length];
    const focused = all.find((one) => one === group.getRootNode().activeElement) ?? all[0];
    const target = all[(all.indexOf(focused) + step + all.length) % all.length] ?? next;
    target.focus();
    target.click();
    event.preventDefault();
    event.stopPropagation();
  });
  group.choose = (value, off = false) => {
    for (const one of all) {
      const chosen = one.value === value;
      set(one, { "aria-checked": String(chosen), tabindex: chosen ? 0 : -1, "aria-disabled": off ? "true" : null });
    }
  };
  return group;
}

/** A menu below its button. `items` gives [words, action, key] or null for a line, made anew each time. */
function menu(opener, items, label) {
  const list = html("div", { class: "mmpid-menu", role: "menu", "aria-label": label, hidden: true });
  set(opener, { "aria-haspopup": "menu", "aria-expanded": "false" });
  const close = (focus) => {
    if (list.hidden) return;
    list.hidden = true;
    set(opener, { "aria-expanded": "false" });
    if (focus) opener.focus();
  };
  const open = () => {
    list.replaceChildren(...items().map((item) => {
      if (!item) return html("hr", { role: "separator" });
      const [words, action, key, off] = item;
      const one = html("button", { type: "button", role: "menuitem", tabindex: -1, "aria-disabled": off ? "true" : null },
        html("span", {}, words), key ? html("kbd", {}, key) : null);
      one.addEventListener("click", () => { if (!off) { close(true); action(); } });
      return one;
    }));
    list.hidden = false;
    set(opener, { "aria-expanded": "true" });
    list.querySelector("[role=menuitem]")?.focus();
  };
  opener.addEventListener("click", () => opener.getAttribute("aria-disabled") !== "true" && (list.hidden ? open() : close(true)));
  list.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("[role=menuitem]")], i = all.indexOf(list.getRootNode().activeElement);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) all.at(to % all.length)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") close(event.key === "Escape");
    else if (event.key !== "Enter" && event.key !== " ") return;
    if (event.key !== "Tab" && event.key !== "Enter" && event.key !== " ") event.preventDefault();
    event.stopPropagation();
  });
  list.addEventListener("focusout", (event) => {
    if (!list.contains(event.relatedTarget) && event.relatedTarget !== opener) close(false);
  });
  return list;
}
