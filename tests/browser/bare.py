"""A front end in a bare page, without any notebook: what a host gives a widget, and nothing more."""

import base64
import json

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>bare page</title>
<style>body {{ margin: 0; background: {ground}; }}</style></head><body><main id="here"></main></body></html>"""
# the smallest model: traits by name, changes, messages; buffers as DataViews, as every host gives them
_MODEL = """async ([esm, css, state]) => {
    const style = document.createElement("style"); style.textContent = css; document.head.append(style);
    const revive = (value) => {
        if (value && typeof value === "object" && "$bytes" in value) {
            const raw = Uint8Array.from(atob(value.$bytes), (c) => c.charCodeAt(0)); return new DataView(raw.buffer); }
        if (Array.isArray(value)) return value.map(revive);
        if (value && typeof value === "object") {
            return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v)])); }
        return value; };
    const traits = revive(state), heard = {}, sent = [];
    const model = { get: (name) => traits[name], send: (message) => sent.push(message), save_changes() {},
        set(name, value) { traits[name] = value; }, on(event, f) { (heard[event] ??= []).push(f); },
        off(event, f) { heard[event] = (heard[event] ?? []).filter((one) => one !== f); } };
    const update = (changes) => { for (const [name, value] of Object.entries(revive(changes))) {
        traits[name] = value; for (const f of heard[`change:${name}`] ?? []) f(); } };
    const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
    const front = (await import(url)).default, el = document.getElementById("here");
    const dispose = await front.render({ model, el });
    window.bare = { model, sent, update, dispose, el, drawn: () => new Promise((done) =>
        requestAnimationFrame(() => requestAnimationFrame(done))) };
    await window.bare.drawn(); }"""


def plain(value):
    """Return a trait as JSON takes it, bytes in base 64."""
    if isinstance(value, bytes | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def state_of(widget) -> dict:
    """Return the traits that a widget sends to its page."""
    names = [name for name in widget.keys if not name.startswith("_")]
    state = {
        name: plain(getattr(widget, name)) for name in names if name not in ("layout", "style", "tabbable", "tooltip")
    }
    return json.loads(json.dumps(state))


class BarePage:
    """A widget's front end in a page of a given size and ground color."""

    def __init__(self, browser, widget, *, width=950, height=700, dark=False):
        self.context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
        self.tab = self.context.new_page()
        self.problems: list[str] = []
        self.tab.on("console", lambda m: self.problems.append(m.text) if m.type == "error" else None)
        self.tab.on("pageerror", lambda e: self.problems.append(str(e)))
        self.tab.set_content(_PAGE.format(ground="#111" if dark else "#fff"))
        self.tab.evaluate(_MODEL, [widget._esm, getattr(widget, "_css", ""), state_of(widget)])
        self.widget = widget

    def update(self, *names: str) -> None:
        """Send traits of the widget as they are now; all by default."""
        state = state_of(self.widget)
        self.tab.evaluate(
            "async (s) => { window.bare.update(s); await window.bare.drawn(); }", {n: state[n] for n in names or state}
        )

    @property
    def sent(self) -> list[dict]:
        """What the page has told the kernel."""
        return self.tab.evaluate("() => window.bare.sent")

    def close(self) -> None:
        """Close the page."""
        self.context.close()
