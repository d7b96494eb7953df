"""Many runs: comparisons with controls, sweeps of the switch epoch, stacked seeds, and the diagnosis of a run."""

from mmpid.studies.compare import baselines, compare
from mmpid.studies.diagnose import diagnose
from mmpid.studies.recipes import Recipe, register
from mmpid.studies.search import Search
from mmpid.studies.seeds import train_seeds
from mmpid.studies.sweep import sweep_switch

__all__ = ["Recipe", "Search", "baselines", "compare", "diagnose", "register", "sweep_switch", "train_seeds"]
