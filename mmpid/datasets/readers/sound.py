"""Front ends by name: how sound becomes an array, with the parameters that the field's code has."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmpid.errors import ConfigError, InputError

BANK_MEAN, BANK_STD = -4.503877, 2 * 5.141276  # of AudioSet's filter banks, which the repositories apply
BANKS, BANK_FRAMES = 128, 1024
FRAME, SHIFT, FFT = 400, 160, 512  # samples at 16 kHz: 25 ms, 10 ms, and the next power of two


@dataclass(frozen=True)
class FrontEnd:
    """Rate in Hz, seconds that shorter sound is repeated to (None keeps its length), and what is computed."""

    rate: int
    seconds: int | None
    compute: Callable[[Tensor], Tensor]


def log_magnitude(n_fft: int, hop: int) -> Callable[[Tensor], Tensor]:
    """Return ln(|STFT| + 1e-7) with a Hann window, frames centered, the edges padded by zeros."""

    def compute(sound: Tensor) -> Tensor:
        window = torch.hann_window(n_fft)
        spectrum = torch.stft(
            sound.clamp(-1, 1), n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True
        )
        return torch.log(spectrum.abs() + 1e-7)

    return compute


def log_density(sound: Tensor) -> Tensor:
    """Return the logarithm of SciPy's spectrogram, FFT 512, overlap 353, with mean 0 and deviation 1 in each clip."""
    from scipy.signal import spectrogram

    x = np.log(spectrogram(sound.numpy(), 16_000, nperseg=512, noverlap=353)[2] + 1e-7)
    return torch.as_tensor(((x - x.mean()) / (x.std() + 1e-9)).astype(np.float32))


@cache
def mel_weights() -> Tensor:
    """Return Kaldi's triangles, (FFT / 2, banks): equally wide on the mel scale from 20 Hz to half the rate."""

    def mel(hertz):
        return 1127.0 * np.log(1 + np.asarray(hertz) / 700)

    edges = np.linspace(mel(20.0), mel(8_000.0), BANKS + 2)
    bins = mel(np.arange(FFT // 2) * 16_000 / FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.as_tensor(np.minimum(rising, falling).clip(min=0).astype(np.float32))


def filter_banks(sound: Tensor) -> Tensor:
    """Return Kaldi's logarithmic filter banks, (1024, 128): without dither, cut or padded by zeros.

    The mean is taken off the clip and off each frame; then pre-emphasis .97, a Hann window, the power spectrum, 128
    triangles, and the natural logarithm of no less than float32's epsilon.
    """
    sound = sound - sound.mean()
    sound = torch.nn.functional.pad(sound, (0, max(0, FRAME - len(sound))))
    frames = sound.unfold(0, FRAME, SHIFT)[:BANK_FRAMES]
    frames = frames - frames.mean(1, keepdim=True)
    frames = frames - 0.97 * torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    power = torch.fft.rfft(frames * torch.hann_window(FRAME, periodic=False), FFT).abs().square()[:, :-1]
    banks = (power @ mel_weights()).clamp(min=torch.finfo(torch.float32).eps).log()
    return torch.nn.functional.pad(banks, (0, 0, 0, BANK_FRAMES - len(banks)))


def normalized_banks(sound: Tensor) -> Tensor:
    """Return :func:`filter_banks` with AudioSet's mean and twice its deviation taken out."""
    return (filter_banks(sound) - BANK_MEAN) / BANK_STD


FRONT_ENDS = {
    "log-stft-3s": FrontEnd(22_050, 3, log_magnitude(512, 353)),  # OGM-GE, InfoReg, ReconBoost: 257 x 188
    "log-stft-20s": FrontEnd(22_050, 20, log_magnitude(512, 353)),  # LFM: 257 x 1250
    "log-stft-5s": FrontEnd(16_000, 5, log_magnitude(256, 128)),  # VGGSound in OGM-GE, ARL: 129 x 626
    "log-psd-3s": FrontEnd(16_000, 3, log_density),  # CREMA-D in PMR: 257 x 299
    "log-psd-10s": FrontEnd(16_000, 10, log_density),  # AVE and VGGSound in PMR: 257 x 1004
    "fbank-10s": FrontEnd(16_000, None, normalized_banks),  # MMPareto, D&R, BalanceBenchmark: 1024 x 128
    "fbank-10s-raw": FrontEnd(16_000, None, filter_banks),  # MLA: the same without normalization
}


@dataclass(frozen=True)
class LogSpectrogram:
    """Sound as an array (frequencies, times), or (times, banks), by the front end of a name; see `FRONT_ENDS`."""

    name: str

    def __post_init__(self):
        if self.name not in FRONT_ENDS:
            raise ConfigError(f"`front_end` must be one of {', '.join(map(repr, FRONT_ENDS))}; it was {self.name!r}.")

    def __call__(self, paths: Sequence[Path]) -> Tensor:
        """Return the array of a wav file."""
        return self.of(read_wav(paths[0], FRONT_ENDS[self.name].rate))

    def of(self, sound: Tensor) -> Tensor:
        """Return the array of a sound (samples,) at the rate of the front end."""
        front = FRONT_ENDS[self.name]
        if front.seconds is not None:
            wanted = front.rate * front.seconds
            sound = sound.repeat(math.ceil(wanted / len(sound)))[:wanted]
        return front.compute(sound)


def read_wav(path: Path, rate: int) -> Tensor:
    """Return the mean of the channels of a wav file, in -1..1, at a rate."""
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    try:
        found, samples = wavfile.read(path)
    except Exception as problem:
        raise InputError(f"{path} is not a readable wav file: {problem}. Leave the clip out.") from problem
    if samples.size == 0:
        raise InputError(f"{path} holds no sound. Leave the clip out.")
    whole = samples.dtype.kind in "iu"
    x = samples.astype(np.float64)
    if whole:
        middle = 128 if samples.dtype == np.uint8 else 0
        x = (x - middle) / (128 if samples.dtype == np.uint8 else float(-np.iinfo(samples.dtype).min))
    x = x.mean(1) if x.ndim == 2 else x
    if found != rate:
        common = int(np.gcd(found, rate))
        x = resample_poly(x, rate // common, found // common)
    return torch.as_tensor(x.astype(np.float32))
