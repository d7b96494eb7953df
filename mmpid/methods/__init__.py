"""The field's balance methods, each a callback in one file; a new file in this folder is found automatically."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from mmpid.train.callbacks import Callback

if TYPE_CHECKING:  # what `_find` does, for editors and type checkers
    from mmpid.methods.agm import AGM as AGM
    from mmpid.methods.arl import ARL as ARL
    from mmpid.methods.aug import AUG as AUG
    from mmpid.methods.auxiliary_losses import AuxiliaryLosses as AuxiliaryLosses
    from mmpid.methods.cggm import CGGM as CGGM
    from mmpid.methods.g_blending import GBlending as GBlending
    from mmpid.methods.greedy import Greedy as Greedy
    from mmpid.methods.inforeg import InfoReg as InfoReg
    from mmpid.methods.lfm import LFM as LFM
    from mmpid.methods.mla import MLA as MLA
    from mmpid.methods.mmcosine import MMCosine as MMCosine
    from mmpid.methods.mmpareto import MMPareto as MMPareto
    from mmpid.methods.modality_dropout import ModalityDropout as ModalityDropout
    from mmpid.methods.mslr import MSLR as MSLR
    from mmpid.methods.ogm_ge import OGMGE as OGMGE
    from mmpid.methods.opm import OPM as OPM
    from mmpid.methods.pmr import PMR as PMR
    from mmpid.methods.reconboost import ReconBoost as ReconBoost
    from mmpid.methods.relearning import DiagnosingRelearning as DiagnosingRelearning
    from mmpid.methods.synib import SynIB as SynIB
    from mmpid.methods.umt import UMT as UMT
    from mmpid.methods.valuation import SampleValuation as SampleValuation


def _find() -> dict[str, type[Callback]]:
    """Return the callbacks that the modules of this folder define, by name."""
    found: dict[str, type[Callback]] = {}
    for _, name, _ in pkgutil.iter_modules(__path__, f"{__name__}."):
        for thing in vars(importlib.import_module(name)).values():
            if isinstance(thing, type) and issubclass(thing, Callback) and thing.__module__ == name:
                found[thing.__name__] = thing
    return dict(sorted(found.items()))


_METHODS = _find()
globals().update(_METHODS)
__all__ = ["available", *_METHODS]  # pyright: ignore[reportUnsupportedDunderAll]


def available() -> dict[str, str]:
    """Return the names of the methods, each with the first line of its description.

    Examples
    --------
    >>> from mmpid import methods
    >>> methods.available()["MMPareto"]
    'Pareto integration of multimodal and unimodal gradients (MMPareto).'
    """
    return {name: (method.__doc__ or "").partition("\n")[0] for name, method in _METHODS.items()}
