"""What goes in: samples of several modalities with one label each, cut into four splits."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.datasets.checks import (
    check_about,
    check_classes,
    check_inputs,
    check_target,
    check_variance,
    note_categories,
    read_class_names,
    read_target,
)
from mmpid.datasets.cuts import SPLITS
from mmpid.datasets.from_torch import FromTorch
from mmpid.datasets.groups import check_groups, read_groups, warn_duplicates
from mmpid.datasets.missing import find_complete, keep_in_split, keep_of_each
from mmpid.datasets.preprocessing import Preprocessing, fit_steps, wanted_steps
from mmpid.datasets.scale import as_float32, scale_problem, warn_scale
from mmpid.datasets.split import Split, TensorInputs
from mmpid.datasets.splits import make_splits
from mmpid.datasets.streamed import StreamedInputs


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class MultimodalData(FromTorch):
    """Samples of two or more modalities with a class label, cut into train / probe / validation / test.

    Build one with :meth:`from_arrays`, :meth:`from_datasets`, :meth:`from_loaders` or :func:`mmpid.datasets.load`. The
    four splits have one task each. The gradient sees `train`. Information is measured on `probe`, which is held out,
    so that memorized labels do not look like knowledge. Epochs are selected on `validation`, and `test` is read once,
    at the end.

    Attributes
    ----------
    inputs : dict of str to Tensor
        Modality name to float32 samples of shape (N, ...). The order of the names is the order of the modalities:
        `unique1` belongs to the first. Streamed data do not offer them: see :meth:`split`.
    target : Tensor
        Class indices 0..k-1, int64, shape (N,).
    splits : dict of str to Tensor
        Split name to sample indices.
    groups : Tensor or None
        Group of each sample (speaker, subject, recording), int64 from 0, shape (N,), on the CPU. Samples of a group
        depend on each other, so a probe resamples whole groups.
    preprocessing : Preprocessing
        The transformers of `standardize` and `impute`, fitted on the training samples. `preprocessing.apply(inputs)`
        prepares new samples in the same way.
    notes : tuple of str
        Assumptions that were made, for example a split that was cut out of another one.
    """

    name: str
    inputs: TensorInputs | StreamedInputs
    target: Tensor
    splits: dict[str, Tensor]
    class_names: tuple[str, ...]
    origin: str = ""
    license: str = ""
    options: dict = field(default_factory=dict)
    groups: Tensor | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        """Take a plain dict of tensors, too."""
        if not isinstance(self.inputs, TensorInputs | StreamedInputs):
            object.__setattr__(self, "inputs", TensorInputs(self.inputs))

    @classmethod
    def from_arrays(
        cls,
        inputs: Mapping,
        target,
        *,
        split=None,
        groups=None,
        missing: str = "refuse",
        standardize=False,
        impute=None,
        seed: int = 0,
        name: str = "arrays",
        class_names=None,
        origin: str = "",
        license: str = "",
        options: dict | None = None,
    ) -> "MultimodalData":
        """Check arrays, cut them into splits and return the data set.

        Parameters
        ----------
        inputs : mapping of str to array
            Modality name to samples (N, ...), two modalities or more, finite numbers. A `Trainer` takes six at most.
        target : array
            Class label of each sample, (N,) or (N, 1), integers or text. Integers that are not 0..k-1 are mapped, with
            a warning; text is counted in the order of `class_names`, by default alphabetical; a pandas category in the
            order of its categories.
        split : None, mapping or array, optional
            None cuts 60 / 15 / 10 / 15 % into train / probe / validation / test, stratified by class. A mapping gives
            fractions (`{"train": .5, ...}`), index arrays or masks; an array gives the name of each sample's split.
            Where only train and test are given, 15 % and 10 % of the training samples become probe and validation.
            "val" and "dev" are other names of validation. `data.notes` says what was done.
            Samples in no index array or mask, or beyond fractions that add up to less than 1, are left out. No sample
            may be in two splits, or twice in one.
        groups : array, optional
            Group of each sample (speaker, subject, recording), (N,), numbers or text, without gaps. Whole groups go to
            one split, so that each split comes close to its share of every class, and whole groups are resampled for
            the intervals and null bands of a probe.
        missing : {"refuse", "drop"}, optional
            What to do with samples that hold NaN in a modality: raise, or leave them out with a warning that counts
            them. Infinite values are always refused.
        standardize : bool, transformer or mapping, optional
            True subtracts the mean and divides by the standard deviation of each feature of samples (N, d), of each
            channel of samples (N, c, ...). You can pass any scikit-learn transformer instead, and a mapping from
            modality names gives each modality its own. All are fitted on the training samples alone.
        impute : bool, "mean", "median", "most_frequent", transformer or mapping, optional
            How to fill NaN, before `standardize`, from the training samples alone.
        seed : int, optional
            Seed of the cut.
        class_names : sequence of str, optional
            Name of each class, in the order of the labels, each once.
        name, origin, license, options
            Shown with the data and written into the metadata of a run: texts, and a mapping.

        Raises
        ------
        ShapeError
            Lengths do not match, or a modality has one axis only.
        InputError
            Non-finite values, gaps in `groups`, one class only, a modality without variance, or a class absent from the
            training split.

        Notes
        -----
        Samples that depend on each other (windows of one recording, clips of one speaker) must share a group:
        otherwise the test accuracy measures recognition of the group and is too high, and the intervals of a probe
        are too narrow. If subjects with several recordings each must stay together, but recordings are to be
        resampled, give `split` by subject and `groups` by recording.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(200) % 4
        >>> sound, image = rng.normal(size=(200, 8)) + y[:, None], rng.normal(size=(200, 5, 5))
        >>> data = MultimodalData.from_arrays({"sound": sound, "image": image}, y, seed=0)
        >>> data.modalities, data.n_classes, {name: len(index) for name, index in data.splits.items()}
        (('sound', 'image'), 4, {'train': 120, 'probe': 28, 'validation': 20, 'test': 32})
        """
        seed = check_about(seed=seed, options=options, name=name, origin=origin, license=license)
        class_names = read_class_names(class_names)
        tensors = check_inputs(inputs)
        beside = {"target": target, "groups": groups, "split": split}
        _validate.same_order({f"inputs[{key!r}]": x for key, x in inputs.items()} | beside)
        wanted, imputed = wanted_steps(standardize, impute, list(tensors))
        length = len(next(iter(tensors.values())))
        notes = note_categories(target)
        labels, class_names = read_target(target, length, class_names)
        kept = find_complete(tensors, missing, imputed)
        if kept is not None:
            tensors, labels = {key: x[kept] for key, x in tensors.items()}, labels[kept]
            split, groups = keep_in_split(split, kept), keep_of_each(groups, kept)
            options = dict(options or {}, dropped=length - len(labels))
        mapped, class_names = check_target(labels, class_names)
        groups = read_groups(groups, len(mapped))
        splits = make_splits(split, mapped, groups=groups, seed=seed, class_names=class_names, notes=notes)
        notes += check_classes(mapped, splits, class_names)
        check_variance(tensors, splits)
        tensors, preprocessing = fit_steps(wanted, tensors, splits["train"], mapped, seed)
        tensors = {key: as_float32(x, key) for key, x in tensors.items()}
        warn_scale({key: scale_problem(x[splits["train"]]) for key, x in tensors.items()})
        check_groups(groups, splits)
        warn_duplicates(tensors, splits)
        options = dict(options or {}, seed=seed)
        if preprocessing:
            options["preprocessing"] = preprocessing.describe()
        return cls(
            name=name, inputs=TensorInputs(tensors), target=mapped, splits=splits, class_names=class_names,
            origin=origin, license=license, options=options, groups=groups, preprocessing=preprocessing,
            notes=tuple(notes),
        )  # fmt: skip

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(self.shapes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample of each modality."""
        return self.inputs.shapes

    @property
    def n_classes(self) -> int:
        """Number of classes k."""
        return len(self.class_names)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change when any sample, label, split or group changes.

        Of streamed data 16 samples of each split are read for it; a change in another one goes unnoticed.
        """
        ungrouped = self.inputs.fingerprint(self.target, {name: self.splits[name] for name in SPLITS})
        if self.groups is None:
            return ungrouped
        return hashlib.sha256(ungrouped.encode() + self.groups.numpy().tobytes()).hexdigest()[:12]

    @property
    def n_groups(self) -> dict[str, int]:
        """Number of groups in each split; empty where samples have none."""
        if self.groups is None:
            return {}
        return {name: len(self.groups[self.splits[name].cpu()].unique()) for name in SPLITS}

    def sample(self, n: int = 2) -> dict[str, Tensor]:
        """Return the first `n` training samples of each modality, on the CPU: enough to try a network on."""
        index = self.splits["train"][: _validate.number(n, "n", low=1, integer=True)]
        first = self.inputs.split("train", index, self.target).in_memory()
        return {name: x.cpu() for name, x in first.inputs.items()}

    def split(self, name: str) -> Split:
        """Return the samples of one split; streamed ones are read when they are asked for.

        Examples
        --------
        >>> from mmpid import datasets
        >>> datasets.load("av-digits").split("probe").inputs["audio"].shape
        torch.Size([240, 12, 16])
        """
        index = self.splits[_validate.choice(name, "split", SPLITS)]
        return self.inputs.split(name, index, self.target, self.groups)

    def release_workers(self) -> None:
        """End the processes that read streamed samples, if there are any; the next reading starts them again."""
        if isinstance(self.inputs, StreamedInputs):
            self.inputs.release_workers()

    def to(self, device) -> "MultimodalData":
        """Return the same data on `device`; streamed data stay where they are, and their batches go there."""
        inputs = self.inputs.to(device)
        if inputs is self.inputs:
            return self
        splits = {key: x.to(device) for key, x in self.splits.items()}
        return replace(self, inputs=inputs, target=self.target.to(device), splits=splits)

    def to_frame(self):
        """Return a pandas table: one row per split, one column per class, entries are counts."""
        import pandas as pd

        counts = {
            key: torch.bincount(self.target[i], minlength=self.n_classes).tolist() for key, i in self.splits.items()
        }
        frame = pd.DataFrame.from_dict(counts, orient="index", columns=list(self.class_names))
        frame.index.name = "split"
        return frame

    def __repr__(self) -> str:
        shapes = ", ".join(f"{key} {shape}" for key, shape in self.shapes.items())
        sizes = " / ".join(f"{len(self.splits[key])} {key}" for key in SPLITS)
        grouped = f"; {' / '.join(map(str, self.n_groups.values()))} groups" if self.n_groups else ""
        said = "".join(f"\n  note: {note}" for note in self.notes)
        return f"MultimodalData({self.name!r}: {shapes}; {self.n_classes} classes; {sizes}{grouped}){said}"
