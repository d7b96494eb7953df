// A bar and words beside it, in a box of fixed height: an update moves two things and lays nothing else out.

export default {
  render({ model, el }) {
    const line = el.appendChild(document.createElement("div"));
    line.className = "mmpid-progress-line";
    line.innerHTML = '<div class="mmpid-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><div></div></div>'
      + '<span class="mmpid-progress" aria-live="off"></span>';
    const [bar, words] = line.children;
    bar.title = bar.ariaLabel = model.get("about");
    const show = () => {
      const { share, says, look } = model.get("now");
      bar.firstChild.style.transform = `scaleX(${share})`;
      bar.ariaValueNow = Math.round(100 * share);
      if (bar.dataset.look !== look) bar.dataset.look = look;
      if (words.textContent !== says) words.textContent = says;
    };
    model.on("change:now", show);
    show();
    return () => model.off("change:now", show);
  },
};
