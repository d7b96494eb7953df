"""Draws what a generated folder holds: tones, drawn frames and made-up spectrograms of a class."""

import pickle
import wave
from pathlib import Path

import numpy as np
import torch

SIDE, RATE, SECONDS, FRAMES = 32, 16_000, 0.5, 3
BANKS, SPECTRUM = (64, 16), (33, 40)  # smaller than the published 1024 x 128 and 257 x 299


class Writer:
    """Draws samples of a class and writes them; each draw comes from one generator."""

    def __init__(self, root: Path, seed: int):
        self.root, self.rng = root, np.random.default_rng([seed, 50])

    def path(self, name: str) -> Path:
        """Return a path in the folder, whose own folder exists."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def lines(self, name: str, rows: list[str], encoding: str = "utf-8") -> None:
        """Write a text list."""
        self.path(name).write_text("\n".join(rows) + "\n", encoding=encoding)

    def image(self, name: str, label: int, *, gray: bool = False) -> None:
        """Draw stripes whose width and direction tell the class, on noise."""
        from PIL import Image

        Image.fromarray(self.pixels(label, gray=gray)).save(self.path(name), quality=90)

    def pixels(self, label: int, *, gray: bool = False) -> np.ndarray:
        """Return the pixels of such a drawing."""
        row, column = np.mgrid[:SIDE, :SIDE]
        along = row if label % 2 else column
        stripes = 70 * np.sign(np.sin(along * (label // 2 + 1) * 0.35 + self.rng.uniform(0, 6)))
        channels = 1 if gray else 3
        tint = self.rng.uniform(0.6, 1.0, size=channels)
        pixels = 128 + stripes[..., None] * tint + self.rng.normal(0, 25, size=(SIDE, SIDE, channels))
        pixels = pixels.clip(0, 255).astype(np.uint8)
        return pixels[..., 0] if gray else pixels

    def frames(self, folder: str, label: int, pattern: str = "{:05d}.jpg", *, gray: bool = False) -> None:
        """Draw the frames of a clip."""
        for i in range(FRAMES):
            self.image(f"{folder}/{pattern.format(i + 1)}", label, gray=gray)

    def tone(self, name: str, label: int) -> None:
        """Write a tone whose pitch tells the class, in noise."""
        time = np.arange(int(RATE * SECONDS)) / RATE
        sound = 0.4 * np.sin(2 * np.pi * 220 * 1.5**label * time + self.rng.uniform(0, 6))
        sound += self.rng.normal(0, 0.1, size=len(time))
        with wave.open(str(self.path(name)), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(RATE)
            stream.writeframes((sound.clip(-1, 1) * 32_767).astype("<i2").tobytes())

    def array(self, label: int, shape: tuple[int, int]) -> np.ndarray:
        """Return a spectrogram with a band that tells the class."""
        out = self.rng.normal(-4.5, 2.0, size=shape).astype(np.float32)
        band = shape[0] * (label + 1) // 8
        out[band : band + 3] += 6.0
        return out

    def npy(self, name: str, label: int, shape=BANKS) -> None:
        """Write a spectrogram as .npy."""
        np.save(self.path(name), self.array(label, shape))

    def pkl(self, name: str, label: int) -> None:
        """Write a spectrogram as others do, with pickle."""
        self.path(name).write_bytes(pickle.dumps(self.array(label, SPECTRUM)))

    def pt(self, name: str, label: int) -> None:
        """Write a filter bank as a saved tensor."""
        torch.save(torch.as_tensor(self.array(label, BANKS)), self.path(name))
