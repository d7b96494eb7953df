from mmpid.methods import AuxiliaryLosses

RUNS = {"one": lambda: AuxiliaryLosses(2.0), "each": lambda: AuxiliaryLosses([1.5, 0.0])}
LARGEST = {"each": 2}  # its settings are for two
