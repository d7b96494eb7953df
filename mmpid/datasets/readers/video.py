"""Frames of videos, by the program `ffmpeg`: nothing but the one file is opened, whatever the file says."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmpid.datasets.readers.media import normalized
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


def read_video(path: Path, size: int) -> np.ndarray:
    """Return all frames of a video as uint8 (frames, size, size, 3).

    The format is that of the name: a playlist with the name of a video would make ffmpeg open other files.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path} must be a video ({', '.join(FORMATS)}). Convert it with ffmpeg.")
    command = [
        require_ffmpeg(), "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-f", kind,
        "-i", f"file:{path}",
        "-threads", "1", "-vf", f"scale={size}:{size}:flags=bilinear", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise InputError(f"{path} was not decoded in {SECONDS} s. Leave the clip out.") from late
    frames = np.frombuffer(done.stdout[: len(done.stdout) // (3 * size**2) * 3 * size**2], dtype=np.uint8)
    if len(frames) == 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"{path} is not a readable video: {said[-1] if said else 'no frames'}. Leave the clip out.")
    return frames.reshape(-1, size, size, 3)


def write_video(path: Path, frames: np.ndarray, rate: int = 30) -> None:
    """Write frames, uint8 (frames, height, width, 3), as the Flash video in which CREMA-D is distributed."""
    _, height, width, _ = frames.shape
    command = [
        require_ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
        "-r", str(rate), "-i", "pipe:0", "-c:v", "flv", "-q:v", "3", "-y", f"file:{path}",
    ]  # fmt: skip
    subprocess.run(command, input=frames.tobytes(), capture_output=True, timeout=SECONDS, check=True)
