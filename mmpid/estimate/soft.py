"""Differentiable atoms of two heads' class probabilities, for use in a loss."""

from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError, ShapeError
from mmpid.estimate.histogram import soft_histogram
from mmpid.pid import PIDResult, decompose
from mmpid.pid.typed import as_tensor


def soft_pid(logits1: Tensor, logits2: Tensor, target: Tensor, *, tol: float = 1e-6) -> PIDResult:
    """Decompose the information that two heads' soft predictions have about the target, with gradients.

    With p1 = softmax(logits1) and p2 = softmax(logits2) per sample, the joint is
    p(x1, x2, y) = mean_i p1(x1 | i) p2(x2 | i) 1[y_i = y], and its atoms are differentiable with respect to both
    logits: no clustering, no unrolled solver. Add ``-result.synergy`` or ``+result.redundancy`` to a loss.

    Parameters
    ----------
    logits1, logits2 : Tensor or array (N, k1) and (N, k2)
        Unnormalized class scores of the heads on one batch; the numbers of classes may differ.
    target : Tensor or array of int (N,)
        Class of each sample, from 0; the number of classes counted is the larger of k1, k2 and ``target.max() + 1``.
    tol : float
        Certified solver error, in bits.

    Returns
    -------
    PIDResult
        ``redundancy``, ``unique1``, ``unique2``, ``synergy`` and ``total`` in bits, as 0-d tensors with gradients.

    Raises
    ------
    ShapeError, InputError
        For logits that are not finite or not (N, k) with the same N, or labels that are not class indices.

    Notes
    -----
    The gradient is exact where every soft count is positive (envelope theorem, see `mmpid.decompose`). Soft joints
    are smoother than hard ones: an unsure head has little information, so the atoms grow as heads become confident,
    rightly or not. Nothing is bias-corrected here, and on the training batch heads that memorize turn all
    information into redundancy; watch the atoms on held-out data.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost, Ay (2014), Quantifying unique information, eq. (10)-(14).

    Examples
    --------
    >>> import torch
    >>> from mmpid.estimate import soft_pid
    >>> y = torch.tensor([0, 1, 2, 0, 1, 2])
    >>> logits = (9.0 * torch.eye(3)[y]).requires_grad_()
    >>> result = soft_pid(logits, torch.zeros(6, 3), y)
    >>> result.unique1.backward()
    >>> round(float(result.unique1.detach()), 2), logits.grad.shape
    (1.58, torch.Size([6, 3]))
    """
    logits1, logits2, target = (
        as_tensor(value, name) for value, name in ((logits1, "logits1"), (logits2, "logits2"), (target, "target"))
    )
    _check_logits(logits1, logits2, target)
    n_classes = max(logits1.shape[1], logits2.shape[1], int(target.max()) + 1)
    probs1, probs2 = logits1.double().softmax(-1), logits2.double().softmax(-1)
    return decompose(soft_histogram(probs1, probs2, target.long(), n_classes=n_classes), tol=tol)


def _check_logits(logits1: Tensor, logits2: Tensor, target: Tensor) -> None:
    """Shapes, values and labels of `soft_pid`."""
    if target.ndim != 1:
        raise ShapeError(f"`target` must have shape (N,), a class index per row; its shape was {tuple(target.shape)}.")
    for name, logits in (("logits1", logits1), ("logits2", logits2)):
        if logits.ndim != 2 or len(logits) != len(target) or not len(logits):
            raise ShapeError(
                f"`{name}` must have shape (N, k) with one row per label, N = {len(target)} > 0; its shape was "
                f"{tuple(logits.shape)}. Pass the scores of one head for the batch."
            )
        _validate.finite(logits.detach(), name)
    if target.is_floating_point() or int(target.min()) < 0:
        raise InputError(
            f"`target` must hold class indices from 0 as integers; it was {target.dtype} with minimum "
            f"{float(target.min()):g}. Map labels to 0..k-1 first."
        )
