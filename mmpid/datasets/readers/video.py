"""Frames and sound of videos, by the program `ffmpeg`: nothing but the one file is opened, whatever the file says."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmpid.datasets.readers.media import normalized
from mmpid.datasets.readers.sound import FRONT_ENDS, LogSpectrogram
from mmpid.errors import InputError, MissingDependencyError

FORMATS = {".flv": "flv", ".mp4": "mov", ".avi": "avi", ".mkv": "matroska", ".webm": "matroska"}
SECONDS = 60  # for one clip, after which the program is ended


def require_ffmpeg() -> str:
    """Return the path of `ffmpeg`; refuse to go on without it."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise MissingDependencyError(
            "reading videos needs the program ffmpeg, which was not found. Install it (apt install ffmpeg, or brew "
            "install ffmpeg), or extract frames on another machine."
        )
    return found


@dataclass(frozen=True)
class VideoFrames:
    """`count` frames of a video at the middles of equal parts: (count, 3, size, size); one has no frame axis."""

    size: int
    count: int = 1

    def __call__(self, paths: Sequence[Path]) -> Tensor:
        """Return the frames of a clip, normalized as ImageNet is."""
        frames = read_video(paths[0], self.size)
        chosen = [min(int((i + 0.5) * len(frames) / self.count), len(frames) - 1) for i in range(self.count)]
        kept = normalized(torch.as_tensor(frames[chosen].astype(np.float32) / 255).permute(0, 3, 1, 2))
        return kept[0] if self.count == 1 else kept


@dataclass(frozen=True)
class VideoSound:
    """The sound of a video as an array, by the front end of a name; see `mmpid.datasets.readers.sound.FRONT_ENDS`."""

    name: str

    def __post_init__(self):
        LogSpectrogram(self.name)  # refuses an unknown name

    def __call__(self, paths: Sequence[Path]) -> Tensor:
        """Return the array of a clip."""
        return LogSpectrogram(self.name).of(read_sound(paths[0], FRONT_ENDS[self.name].rate))


def read_video(path: Path, size: int) -> np.ndarray:
    """Return all frames of a video as uint8 (frames, size, size, 3).

    The format is that of the name: a playlist with the name of a video would make ffmpeg open other files.
    """
    scale = f"scale={size}:{size}:flags=bilinear"
    raw = _decoded(path, ["-threads", "1", "-vf", scale, "-f", "rawvideo", "-pix_fmt", "rgb24"], 3 * size**2)
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, size, size, 3)


def read_sound(path: Path, rate: int) -> Tensor:
    """Return the sound of a video, the mean of its channels, in -1..1, at a rate."""
    raw = _decoded(path, ["-vn", "-ac", "1", "-ar", str(rate), "-f", "f32le"], 4)
    return torch.as_tensor(np.frombuffer(raw, dtype="<f4").astype(np.float32))


def _decoded(path: Path, how: list[str], unit: int) -> bytes:
    """Return what ffmpeg makes of a video, cut to whole units of so many bytes."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path} must be a video ({', '.join(FORMATS)}). Convert it with ffmpeg.")
    safe = ["-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-f", kind]
    command = [require_ffmpeg(), *safe, "-i", f"file:{path}", *how, "pipe:1"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise InputError(f"{path} was not decoded in {SECONDS} s. Leave the clip out.") from late
    whole = done.stdout[: len(done.stdout) // unit * unit]
    if not whole:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"{path} is not a readable video: {said[-1] if said else 'it is empty'}. Leave the clip out.")
    return whole


def write_video(path: Path, frames: np.ndarray, rate: int = 30, sound: Path | None = None) -> None:
    """Write frames, uint8 (frames, height, width, 3), with the sound of a wav file if one is given.

    A name that ends in `.flv` gives the Flash video in which CREMA-D is distributed, another one MPEG-4.
    """
    _, height, width, _ = frames.shape
    pictures = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "pipe:0"]
    heard = [] if sound is None else ["-i", f"file:{sound}", "-c:a", "aac"]
    coded = ["-c:v", "flv" if path.suffix == ".flv" else "mpeg4", "-q:v", "3"]
    command = [require_ffmpeg(), "-v", "error", *pictures, *heard, *coded, "-y", f"file:{path}"]
    subprocess.run(command, input=frames.tobytes(), capture_output=True, timeout=SECONDS, check=True)
