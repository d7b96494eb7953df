// Light or dark, according to the background under the widget, without asking the host: this works in every notebook.

const sample = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** Red, green, blue and alpha, 0 to 255, of a color in any notation that a page uses; `oklch()` is not a list of three bytes. */
function bytesOf(color) {
  sample.clearRect(0, 0, 1, 1);
  sample.fillStyle = color;
  sample.fillRect(0, 0, 1, 1);
  return sample.getImageData(0, 0, 1, 1).data;
}

/** The first opaque color under an element, from the element upward and through shadow roots. */
function ground(element) {
  for (let one = element.parentNode; one; one = one.parentNode ?? one.host) {
    if (!(one instanceof Element)) continue;
    const [r, g, b, alpha] = bytesOf(getComputedStyle(one).backgroundColor);
    if (alpha > 127) return [r, g, b];
  }
  return null;
}

function isDark(element) {
  const color = ground(element);
  if (!color) return matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark");
  const [r, g, b] = color.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.2;
}

const MOST_LEVELS = 6;

/** Hide the static picture of the same cell: the first output after the element's that has only a picture. */
function hidePicture(element) {
  let one = element;
  for (let level = 0; one && level < MOST_LEVELS; level++, one = one.parentElement) {
    if (one.querySelector("textarea, .cm-editor, [contenteditable]")) return null;
    const next = one.nextElementSibling;
    if (next?.querySelector("img[src^='data:image/png']") && !next.querySelector("button, input")) {
      next.classList.add("mmpid-picture-hidden");
      return next;
    }
  }
  return null;
}

/** Keep the color scheme of an element equal to that of the surrounding page; return a function that stops this. */
function followTheme(element) {
  const apply = () => {
    const scheme = isDark(element) ? "dark" : "light";
    if (element.style.colorScheme !== scheme) element.style.colorScheme = scheme;
  };
  const soon = () => { requestAnimationFrame(apply); setTimeout(apply, 300); }; // style sheets may come later than attributes
  const watch = new MutationObserver(soon);
  for (const one of [document.documentElement, document.body]) watch.observe(one, { attributes: true });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", soon);
  soon();
  return () => { watch.disconnect(); system.removeEventListener("change", soon); };
}
