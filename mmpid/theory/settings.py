"""Settings of the solvable model: one line of documentation for each symbol, checked when they are made."""

from dataclasses import dataclass
from math import isfinite

from mmpid._validate import flag, number
from mmpid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Settings of the two-modality sparse-coding model.

    An input of modality r is x^r = M^r z^r + noise, with a dictionary M^r of K orthonormal columns. A sufficient
    sample of class y has z_y = a_y U[1, 1.5] and a little clutter elsewhere; an insufficient one has z_y = gamma a_y
    and a few confuser classes at rho a_k. The network is f_j^r = sum over l of sigma(<w_jlr, x^r>), with the smoothed
    ReLU sigma(u) = u^q / (q beta^(q-1)) on (0, beta), linear above; the two modalities are added.

    The family of models (sparse coding, insufficient samples, smoothed ReLU, late fusion) is the one that the
    literature states for modality competition; the particular distributions and values below are our choice.

    Attributes
    ----------
    n_classes : int, at least 2
        K, the number of classes.
    n_neurons : int, at least 1
        m, neurons per class and modality.
    q : float, at least 2
        Power of the smoothed ReLU near zero. Competition is sharp for q of 3 or more. Just above 2 (below 2.01 or so,
        sooner for uneven amplitudes) ECS is beyond single precision, and a simulation is refused.
    beta : float, above 0
        Threshold of the smoothed ReLU; a class counts as discovered when its strength passes it.
    init_scale : float, above 0
        s0, standard deviation of the initial weights. Competition needs s0 far below beta.
    eta : float, above 0
        Step size of gradient descent, class-normalized: the weights move by eta K times the gradient.
    n_train : int, at least 1
        Training samples per class.
    noise_dims : int, at least 0
        D, dimensions of pure noise beside the K of the dictionary.
    noise : float, at least 0
        Standard deviation of the noise in every dimension.
    amplitude_spread : float, at least 0
        Standard deviation of log a, over classes and modalities.
    amplitude_ratio : float, above 0
        Factor on all amplitudes of modality 2.
    clutter_rate : float, at least 0
        s, expected number of classes active by chance in a sample; each is active with probability s/K.
    clutter_size : float, at least 0
        rho0, largest size of clutter, in units of the amplitude.
    gamma : float, from 0 to 1
        Size of the own class in an insufficient sample, in units of the amplitude.
    rho : float, from 0 to 1
        Size of the confuser classes in an insufficient sample, in units of the amplitude.
    n_confusers : int, at least 0
        S_c, confuser classes in an insufficient sample, at most K - 1 of which fit.
    mu : float or pair of float, from 0 to 1, optional
        Probability that a sample is insufficient in a modality, independently of the other; 0.25 / K by default.
        The laws over K are inherited from this: error follows mu and mu^2, and mu = c/K is put in by hand.
    fresh_data : bool
        Draw new training samples at each step instead of keeping one set.

    Raises
    ------
    ConfigError
        If a value is out of range.

    Examples
    --------
    >>> ModelSettings(n_classes=16).rates
    (0.015625, 0.015625)
    """

    n_classes: int = 16
    n_neurons: int = 20
    q: float = 3.0
    beta: float = 0.5
    init_scale: float = 0.004
    eta: float = 0.25
    n_train: int = 10
    noise_dims: int = 16
    noise: float = 0.02
    amplitude_spread: float = 0.15
    amplitude_ratio: float = 1.0
    clutter_rate: float = 2.0
    clutter_size: float = 0.15
    gamma: float = 0.1
    rho: float = 0.4
    n_confusers: int = 3
    mu: float | tuple[float, float] | None = None
    fresh_data: bool = False

    def __post_init__(self):
        _check(self.n_classes, "n_classes", "A competition needs two classes at least, try 8", low=2, integer=True)
        _check(self.n_neurons, "n_neurons", "Try 20", low=1, integer=True)
        _check(self.q, "q", "q = 2 grows exponentially, try 3 for clear winners", low=2)
        for name in ("beta", "init_scale", "eta", "amplitude_ratio"):
            _check(getattr(self, name), name, f"Try {getattr(type(self), name)}", low=0, open_low=True)
        _check(self.n_train, "n_train", "Try 10", low=1, integer=True)
        for name in ("noise_dims", "n_confusers"):
            _check(getattr(self, name), name, f"Try {getattr(type(self), name)}", low=0, integer=True)
        for name in ("noise", "amplitude_spread", "clutter_rate", "clutter_size"):
            _check(getattr(self, name), name, f"Try {getattr(type(self), name)}", low=0)
        for name in ("gamma", "rho"):
            _check(getattr(self, name), name, f"Try {getattr(type(self), name)}", low=0, high=1)
        flag(self.fresh_data, "fresh_data")
        for rate in self.rates:
            _check(rate, "mu", f"It is a probability, try 0.25 / K = {0.25 / self.n_classes:g}", low=0, high=1)

    @property
    def rates(self) -> tuple[float, float]:
        """Probability of an insufficient sample in modality 1 and 2."""
        if self.mu is None:
            return 0.25 / self.n_classes, 0.25 / self.n_classes
        pair = self.mu if isinstance(self.mu, tuple | list) else (self.mu, self.mu)
        if len(pair) != 2:
            raise ConfigError(
                f"`mu` must be one probability or a pair, one for each modality; it had {len(pair)} entries. "
                "Try a single number."
            )
        return pair[0], pair[1]

    @property
    def n_dims(self) -> int:
        """Dimensions of an input, K + D."""
        return self.n_classes + self.noise_dims

    @property
    def kappa(self) -> float:
        """Rate constant of growth per step, eta (1 - 1/K) / beta^(q-1), while the network is undecided."""
        return self.eta * (1 - 1 / self.n_classes) / self.beta ** (self.q - 1)


def _check(value, name: str, advice: str, **bounds) -> None:
    """Raise with advice on what to try if the value is out of its bounds."""
    try:
        number(value, name, **bounds)
        if not isfinite(value):
            raise ConfigError(f"`{name}` must be finite; it was {value!r}.")
    except ConfigError as problem:
        raise ConfigError(f"{problem} {advice}.") from None
