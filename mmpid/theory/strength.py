"""Effective Competitive Strength (ECS), exact in the solvable model, and the discovery times that it predicts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid._validate import as_tensor, instance
from mmpid.errors import ConfigError, ShapeError
from mmpid.theory.network import leading
from mmpid.theory.settings import ModelSettings


@dataclass(frozen=True, kw_only=True)
class State:
    """The solvable model at one step of training.

    Attributes
    ----------
    settings : ModelSettings
        Settings of the model.
    step : int
        Steps of gradient descent taken.
    weights : Tensor, shape (..., 2, K m, d)
        Weights in units of beta, neurons grouped by class.
    data_strength : Tensor, shape (..., K, 2)
        d_j^r, the mean of (z_j^r)^q over the training samples of class j.
    amplitude : Tensor, shape (..., 2, K)
        Amplitudes of the dictionary columns.
    """

    settings: ModelSettings
    step: int
    weights: Tensor
    data_strength: Tensor
    amplitude: Tensor

    def __repr__(self) -> str:
        return f"State(step={self.step}, n_classes={self.settings.n_classes}, weights={tuple(self.weights.shape)})"


def strength(state: State) -> Tensor:
    """Lambda_j^r (..., K, 2): the largest positive product of a class's neurons with its own dictionary column.

    Parameters
    ----------
    state : State
        The model at any step, such as `sim.start`.
    """
    _check_state(state)
    weights = state.weights if state.weights.ndim == 4 else state.weights.unsqueeze(0)
    found = leading(state.settings, weights)
    return found if state.weights.ndim == 4 else found.squeeze(0)


def ecs(state: State) -> Tensor:
    """Effective Competitive Strength of each class and modality, exactly.

    ECS_j^r = Lambda_j^r (d_j^r)^(1/(q-2)), with Lambda the strength of the leading neuron and d the strength of the
    data. Its power ECS^(q-2) is the relative growth rate of Lambda over kappa, and the modality with the larger ECS
    discovers the class first.

    Parameters
    ----------
    state : State
        The model at any step; the first step of joint training gives the *initial* ECS.

    Returns
    -------
    Tensor, shape (..., K, 2)
        ECS, no unit. For q = 2 growth is exponential and ECS is defined as the inverse discovery time in steps.

    Raises
    ------
    ConfigError
        If q is so little above 2 that ECS is not a number in the precision of the state.

    Notes
    -----
    We did not find the formula in the text of the two-stage paper that we could read. We derived it from
    the growth of the leading neuron. It agrees with the condition for winners that we recall, unchecked, from the
    theory of modality competition. It says which modality discovers a class first, not that the other
    never will: with a large initial scale or fresh data both learn everything in the end.

    References
    ----------
    Huang et al., Modality Competition, ICML 2022 (arXiv 2203.12221), for the model; arXiv 2509.20840 for the name.

    Examples
    --------
    >>> from mmpid.theory import simulate
    >>> sim = simulate(n_classes=4, seed=0, n_steps=1)
    >>> bool((ecs(sim.start) == sim.ecs).all())
    True
    """
    return ecs_from(_check_state(state).settings, strength(state), state.data_strength)


def _check_state(state) -> State:
    return instance(
        state, "state", State, "a State", "For a simulation, use `.start`, `.final` or one of `.snapshots`."
    )


def ecs_from(settings: ModelSettings, lam: Tensor, d: Tensor) -> Tensor:
    """ECS from leading strengths and data strengths of the same shape.

    Refused where the power of d, or ECS, is beyond the numbers of its precision: logarithms would still name the
    larger one, but ECS itself is what is asked for, and infinities or zeros on both sides look like a draw.
    """
    if settings.q == 2:
        return 1 / predicted_discovery_time(settings, lam, d).clamp_min(1)
    power = d ** (1 / (settings.q - 2))
    found = lam * power
    lost = ((power < torch.finfo(power.dtype).tiny) & (d > 0)) | power.isinf() | (found.isinf() & lam.isfinite())
    if lost.any():
        raise ConfigError(
            f"`q` must be 2, or so far above 2 that ECS = Lambda d^(1/(q-2)) is a number in {power.dtype}; it was "
            f"{settings.q:g}, and d ran from {float(d.min()):.3g} to {float(d.max()):.3g}. Try q = 2, for which ECS is "
            "the inverse discovery time, or 2.1 and more."
        )
    return found


def predicted_discovery_time(settings: ModelSettings, lam: Tensor, d: Tensor) -> Tensor:
    """Predict the steps until Lambda reaches beta when nothing else interferes.

    T = (Lambda^-(q-2) - beta^-(q-2)) / ((q-2) kappa d), and log(beta / Lambda) / (kappa d) for q = 2; 0 where Lambda
    has passed beta. `lam` is Lambda and `d` the strength of the data, positive, of one shape (..., K, 2).
    """
    instance(settings, "settings", ModelSettings, "ModelSettings", "Of a simulation take `.settings`.")
    lam, d = as_tensor(lam, "lam"), as_tensor(d, "d")
    if lam.shape != d.shape:
        raise ShapeError(
            f"`lam` and `d` must have one shape (..., K, 2); they had {tuple(lam.shape)} and {tuple(d.shape)}. Take "
            "both of the same State."
        )
    p = settings.q - 2
    gap = (lam**-p - settings.beta**-p) / p if p else (settings.beta / lam).log()
    return (gap / (settings.kappa * d)).clamp_min(0)


def crossing_time(path: Tensor, level: float) -> Tensor:
    """First time, in steps and interpolated, at which a path (T + 1, ...) reaches a level; infinity if never."""
    above = path >= level
    step = above.to(torch.int8).argmax(0, keepdim=True)
    before = path.gather(0, (step - 1).clamp_min(0))
    at = path.gather(0, step)
    share = torch.where(step > 0, (level - before) / (at - before), 0.0)
    time = (step - 1).clamp_min(0) + share
    return torch.where(above.any(0), time.squeeze(0), torch.inf)


def larger(values: Tensor) -> Tensor:
    """Modality (0 or 1) with the larger entry on the last axis."""
    return values.argmax(-1)
