// A button that shows and hides the content under it.

export default {
  render({ model, el }) {
    const button = document.createElement("button"), content = document.createElement("div");
    content.id = `mmpid-fold-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    content.className = "mmpid-tables";
    content.tabIndex = 0;
    content.setAttribute("role", "group");
    button.type = "button";
    button.className = "mmpid-fold";
    button.setAttribute("aria-controls", content.id);
    const show = () => {
      const open = model.get("unfolded");
      button.textContent = `${open ? "▾" : "▸"} ${model.get("words")}`;
      button.setAttribute("aria-label", model.get("words"));
      content.setAttribute("aria-label", model.get("words"));
      button.setAttribute("aria-expanded", String(open));
      content.hidden = !open;
      if (content.made !== model.get("html")) content.innerHTML = content.made = model.get("html");
    };
    button.addEventListener("click", () => {
      model.set("unfolded", !model.get("unfolded"));
      model.save_changes();
      show();
    });
    el.append(button, content);
    for (const name of ["words", "unfolded", "html"]) model.on(`change:${name}`, show);
    show();
    return () => { for (const name of ["words", "unfolded", "html"]) model.off(`change:${name}`, show); };
  },
};
