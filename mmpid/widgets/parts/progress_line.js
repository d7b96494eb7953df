// A bar and words beside it, in a box of fixed height: an update moves two things and lays nothing else out.

const STEPS = 200; // each is less than a pixel of the bar

export default {
  render({ model, el }) {
    const line = el.appendChild(document.createElement("div"));
    line.className = "mmpid-progress-line";
    line.innerHTML = '<div class="mmpid-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><div></div></div>'
      + '<span class="mmpid-progress" aria-live="off"></span>';
    const [bar, words] = line.children;
    const text = words.appendChild(document.createTextNode(""));
    bar.title = bar.ariaLabel = model.get("about");
    let shown = -1;
    const show = () => {
      const { share, says, look } = model.get("now");
      const step = Math.floor(STEPS * share);
      if (step !== shown) { // to compute a style is costly in a page of thousands of rules
        bar.firstChild.style.transform = `scaleX(${step / STEPS})`;
        bar.ariaValueNow = Math.floor((100 * step) / STEPS);
        shown = step;
      }
      if (bar.dataset.look !== look) bar.dataset.look = look;
      if (text.data !== says) text.data = says;
    };
    model.on("change:now", show);
    show();
    return () => model.off("change:now", show);
  },
};
