"""The four information terms from which all atoms follow, and the way back.

With I1 = I(Y;X1), I2 = I(Y;X2), Iq = I_q*(Y;X1,X2) of the BROJA optimum q* and I12 = I(Y;X1,X2), all in bits,

    R = I1 + I2 - Iq,   U1 = Iq - I2,   U2 = Iq - I1,   S = I12 - Iq.

A correction applied to the terms, and never to the atoms, keeps every sum rule by construction.
"""

import torch
from torch import Tensor

from mmpid.pid.results import ATOMS, PIDResult

__all__ = ["ATOMS", "atoms_to_terms", "stack_atoms", "terms_to_atoms"]


def atoms_to_terms(atoms: Tensor) -> Tensor:
    """Map atoms (..., 4) in the order R, U1, U2, S to terms (..., 4) in the order I1, I2, Iq, I12."""
    r, u1, u2, s = atoms.unbind(-1)
    return torch.stack([r + u1, r + u2, r + u1 + u2, r + u1 + u2 + s], dim=-1)


def terms_to_atoms(terms: Tensor) -> Tensor:
    """Map terms (..., 4) in the order I1, I2, Iq, I12 to atoms (..., 4) in the order R, U1, U2, S."""
    i1, i2, iq, i12 = terms.unbind(-1)
    return torch.stack([i1 + i2 - iq, iq - i2, iq - i1, i12 - iq], dim=-1)


def stack_atoms(result: PIDResult) -> Tensor:
    """Gather the four atoms of a decomposition into one float64 tensor (..., 4)."""
    return torch.stack([getattr(result, name) for name in ATOMS], dim=-1).double()
