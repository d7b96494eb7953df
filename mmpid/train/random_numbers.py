"""The random numbers of a run: its own, whatever else the process draws."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def mix(*numbers: int) -> int:
    """Return one well-mixed 32-bit seed made from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def sample_order(seed: int, epoch: int, n: int) -> Tensor:
    """Return the order in which `n` training samples are taken: a function of the seed and the epoch alone."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix(seed, 2, epoch)))


class RandomNumbers:
    """Torch's global random state while the run trains, and one generator for callbacks.

    Dropout and other layers draw from torch's global generator. The run swaps its own state in while it trains and
    out again afterward, so that it has the same numbers beside other work as alone.
    """

    def __init__(self, seed: int, device: torch.device):
        self.seed, self.device = seed, device
        self.generator = torch.Generator().manual_seed(mix(seed, 5))
        self._state = torch.Generator().manual_seed(mix(seed, 1)).get_state()
        self._live = False

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Use this run's random state; leave the global one as it was."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(self._state)
            self._live = True
            try:
                yield
            finally:
                self._state, self._live = torch.get_rng_state(), False

    @contextmanager
    def forked(self, *numbers: int) -> Iterator[None]:
        """Draw from a global state that depends on the run's seed and `numbers` alone; leave the global one alone."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(mix(self.seed, *numbers))
            yield

    def seed_accelerator(self, step: int) -> None:
        """Seed the accelerator by the update that is due, so that its dropout does not depend on how a run is cut."""
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(mix(self.seed, 3, step))

    def state_dict(self) -> dict:
        """Return both states."""
        layers = torch.get_rng_state() if self._live else self._state.clone()
        return {"layers": layers, "callbacks": self.generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from :meth:`state_dict`."""
        self._state = state["layers"].clone()
        self.generator.set_state(state["callbacks"].clone())
        if self._live:
            torch.set_rng_state(self._state)
