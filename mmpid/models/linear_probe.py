"""How much does an encoder know? A linear classifier on its embeddings tells."""

import warnings

import torch

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import InputError
from mmpid.models.late_fusion import HOW_TO_LOAD, LateFusion
from mmpid.models.modes import evaluating

CHUNK = 1024  # samples a forward pass


def linear_probe(model: LateFusion, data, *, fit_on: str = "train", score_on: str = "test") -> dict[str, float]:
    """Return, for each modality, the accuracy of a linear classifier on the frozen embeddings of its encoder.

    A multinomial logistic regression is fitted on standardized embeddings of one split and scored on another. An
    encoder that starved in joint training scores lower than the same encoder trained alone.

    Parameters
    ----------
    model : LateFusion
        Is left as it is.
    data : MultimodalData
        The data that it was trained on.
    fit_on, score_on : str
        Split that the classifier is fitted on, and split that it is scored on.

    Returns
    -------
    dict of str to float
        Accuracy by modality.

    Notes
    -----
    Also random features can be separated linearly to some degree, so compare with the same encoder untrained or
    trained alone, never with chance.

    References
    ----------
    Alain and Bengio (2016), Understanding intermediate layers using linear classifier probes, arXiv 1610.01644.

    Examples
    --------
    >>> import mmpid
    >>> data = mmpid.datasets.load("av-digits", seed=0)
    >>> sorted(mmpid.linear_probe(mmpid.LateFusion.from_data(data), data))
    ['audio', 'image']
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    hint = "Build it with LateFusion.from_data(data)."
    _validate.instance(model, "model", LateFusion, "a LateFusion", hint)
    _validate.instance(data, "data", MultimodalData, "MultimodalData", HOW_TO_LOAD)
    if set(model.modalities) != set(data.modalities):
        raise InputError(
            f"`model` must have the modalities of `data`, {', '.join(data.modalities)}; it had "
            f"{', '.join(model.modalities)}. {hint}"
        )
    device = next(model.parameters()).device
    fit, score = data.split(fit_on), data.split(score_on)
    known, asked = (_embed(model, split, device) for split in (fit, score))
    accuracy = {}
    for name in model.modalities:
        readout = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the readout do not matter
            readout.fit(known[name], fit.target.cpu().numpy())
        accuracy[name] = float(readout.score(asked[name], score.target.cpu().numpy()))
    return accuracy


def _embed(model: LateFusion, split, device) -> dict:
    """Return the embeddings of a split as float64 arrays, in evaluation mode; the model is left as it was."""
    order = torch.arange(len(split)).split(CHUNK)
    with evaluating(model), torch.no_grad():
        parts = [model.pool(model.embed(inputs)) for inputs, _ in split.batches(order, device=device)]
    return {name: torch.cat([part[name] for part in parts]).cpu().double().numpy() for name in model.modalities}
