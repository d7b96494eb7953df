"""Record the real board, epoch by epoch, as the moving picture of the README.

python -m tests.browser.record_board docs/images/board.gif
"""

import io
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import mmpid
from mmpid.widgets import Dashboard
from tests.browser.bare import BarePage

WIDTH, HEIGHT, SHOWN, COLORS = 950, 640, 760, 64
FRAME, LAST_FRAME = 350, 3500  # milliseconds


def frames():
    """Train the quick start's run and yield a picture of its board after each epoch."""
    data = mmpid.datasets.load("av-digits", seed=0)
    trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data, seed=0), data, seed=0, device="cpu")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        board = Dashboard(trainer, mode="live")
        page = BarePage(browser, board._board.view, width=WIDTH, height=HEIGHT)
        own = board._board
        while trainer.stage != "finished" and trainer.epoch < trainer.config.epochs:
            own.session.step(epochs=1)
            while own.session.busy or own.publisher.shown != own.runs.version:
                time.sleep(0.02)
            page.update()
            yield Image.open(io.BytesIO(page.tab.screenshot())).convert("RGB")
        page.close()
        board.close()
        browser.close()


def record(path: Path) -> None:
    """Write the frames as a GIF that repeats."""
    size = (SHOWN, round(SHOWN * HEIGHT / WIDTH))
    small = [frame.resize(size, Image.Resampling.LANCZOS) for frame in frames()]
    palette = small[-1].quantize(COLORS, dither=Image.Dither.NONE)
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in small]
    times = [FRAME] * (len(drawn) - 1) + [LAST_FRAME]
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=times, loop=0, optimize=True)
    print(f"{path}: {len(drawn)} frames, {path.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
