"""The doors for samples that a `torch.utils.data.Dataset` or `DataLoader` gives."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from mmpid.datasets.checks import check_about, check_classes, check_target, read_class_names
from mmpid.datasets.groups import check_groups, read_groups
from mmpid.datasets.loaders import Opened, open_datasets, open_loaders
from mmpid.datasets.preprocessing import fit_streamed
from mmpid.datasets.scale import evenly, scale_problem, warn_scale
from mmpid.datasets.splits import make_splits
from mmpid.datasets.streamed import StreamedInputs

LOOKED_AT_STREAMED = 16  # training samples whose scale is checked when streamed data are opened


class FromTorch:
    """What :class:`mmpid.MultimodalData` can do beside `from_arrays`: open datasets and loaders."""

    @classmethod
    def from_datasets(
        cls,
        datasets: Mapping,
        *,
        target=None,
        split=None,
        groups=None,
        in_memory: bool | str = "auto",
        num_workers: int = 0,
        standardize=False,
        seed: int = 0,
        name: str = "datasets",
        class_names=None,
        origin: str = "",
        license: str = "",
        options: dict | None = None,
    ) -> Self:
        """Pair one map-style `torch.utils.data.Dataset` per modality, sample by sample, and cut them into splits.

        Parameters
        ----------
        datasets : mapping of str to Dataset
            Modality name to a dataset whose item i is x_i or (x_i, label). All must have the same length and order,
            and labels, where several give them, must agree. Every x_i of a modality must have the same shape.
        target : array, optional
            Labels (N,), integers or text as in :meth:`from_arrays`. By default they are read from the items, in one
            pass over all of them, and must be integers.
        split, groups, seed, name, class_names, origin, license, options
            As in :meth:`from_arrays`.
        in_memory : {"auto", True, False}
            Read all samples into memory once, or stream them batch by batch; "auto" reads what needs at most 1 GiB as
            float32. Random transforms stay random only if the data are streamed.
        num_workers : int
            Processes that read streamed samples.
        standardize : bool, transformer or mapping, optional
            As in :meth:`from_arrays`. For streamed data the training samples are read once to fit it, by `partial_fit`.

        Examples
        --------
        >>> import torch
        >>> from mmpid import MultimodalData
        >>> y = torch.arange(200) % 4
        >>> sound = torch.utils.data.TensorDataset(torch.randn(200, 8), y)
        >>> image = [x for x in torch.randn(200, 5, 5)]
        >>> MultimodalData.from_datasets({"sound": sound, "image": image}).shapes
        {'sound': (8,), 'image': (5, 5)}
        """
        seed = check_about(seed=seed, options=options, name=name, origin=origin, license=license)
        class_names = read_class_names(class_names)
        opened = open_datasets(
            datasets, target=target, split=split, in_memory=in_memory, num_workers=num_workers, class_names=class_names
        )
        return cls._from_opened(
            opened, groups=groups, standardize=standardize, seed=seed, name=name, origin=origin, license=license,
            options=options,
        )  # fmt: skip

    @classmethod
    def from_loaders(
        cls,
        loaders,
        *,
        target=None,
        split=None,
        groups=None,
        in_memory: bool | str = "auto",
        standardize=False,
        seed: int = 0,
        name: str = "loaders",
        class_names=None,
        origin: str = "",
        license: str = "",
        options: dict | None = None,
    ) -> Self:
        """Take data from `torch.utils.data.DataLoader`s that yield ({modality: tensor}, label).

        Parameters
        ----------
        loaders : mapping of str to DataLoader, or DataLoader
            One loader per split: "train" and "test", and optionally "probe" and "validation" (also "val"); without
            these, 15 % and 10 % of the training samples take their place. Or one loader, cut as `split` and `groups`
            say. Only the dataset,
            `collate_fn`, `num_workers` and `pin_memory` of a loader are used. The trainer sets batch size and order,
            so that a resumed run repeats them exactly.
        target : array, or mapping of split to array, optional
            Labels in the order of the dataset, integers or text. By default they are read in one pass over all samples.
        groups : array, or mapping of split to array, optional
            As in :meth:`from_arrays`; for one loader per split, the groups of each in the order of its dataset.
        split, seed, name, class_names, origin, license, options
            As in :meth:`from_arrays`.
        in_memory, standardize
            As in :meth:`from_datasets`.

        Raises
        ------
        InputError
            An IterableDataset, a sampler that picks or weights samples, a batch that is not ({name: tensor}, label),
            or a sample that lacks a modality or has another shape than the first one.

        Notes
        -----
        The samples of a batch seed its random transforms. The same batch is transformed in the same way again, which
        makes a resumed run exact. Other batches, and so other epochs, get other random numbers.

        Examples
        --------
        >>> import torch
        >>> from mmpid import MultimodalData
        >>> samples = [({"sound": torch.randn(8), "image": torch.randn(5, 5)}, i % 4) for i in range(200)]
        >>> loader = torch.utils.data.DataLoader(samples, batch_size=32)
        >>> data = MultimodalData.from_loaders(loader, in_memory=False)
        >>> inputs, target = next(data.split("train").batches(torch.arange(6).split(3)))
        >>> inputs["image"].shape, target.shape
        (torch.Size([3, 5, 5]), torch.Size([3]))
        """
        seed = check_about(seed=seed, options=options, name=name, origin=origin, license=license)
        class_names = read_class_names(class_names)
        opened = open_loaders(
            loaders, target=target, split=split, groups=groups, in_memory=in_memory, seed=seed, class_names=class_names
        )
        return cls._from_opened(
            opened, groups=opened.groups, standardize=standardize, seed=seed, name=name, origin=origin, license=license,
            options=options,
        )  # fmt: skip

    @classmethod
    def _from_opened(cls, opened: Opened, *, groups, standardize, seed: int, options: dict | None, **about) -> Self:
        """Build the data set of samples that were read as arrays are, or of samples that stay where they are."""
        owner: Any = cls  # the data set, of which this class is one half
        if not isinstance(opened.inputs, StreamedInputs):
            data = owner.from_arrays(
                opened.inputs, opened.target, split=opened.split, groups=groups, standardize=standardize, seed=seed,
                class_names=opened.class_names, options=options, **about,
            )  # fmt: skip
            return replace(data, notes=opened.notes + data.notes)
        notes = list(opened.notes)
        target, class_names = check_target(opened.target, opened.class_names)
        groups = read_groups(groups, len(target))
        splits = make_splits(opened.split, target, groups=groups, seed=seed, class_names=class_names, notes=notes)
        check_groups(groups, splits)
        notes += check_classes(target, splits, class_names)
        train = opened.inputs.split("train", splits["train"], target)
        preprocessing = fit_streamed(standardize, train, seed)
        inputs = opened.inputs.transformed(preprocessing.apply) if preprocessing else opened.inputs
        seen = inputs.split("train", splits["train"], target).subset(evenly(len(train), LOOKED_AT_STREAMED)).in_memory()
        inputs.scale_problems = {name: text for name, x in seen.inputs.items() if (text := scale_problem(x))}
        warn_scale(inputs.scale_problems)
        options = dict(options or {}, seed=seed, in_memory=False)
        if preprocessing:
            options["preprocessing"] = preprocessing.describe()
        return owner(
            inputs=inputs, target=target, splits=splits, class_names=class_names, options=options, groups=groups,
            preprocessing=preprocessing, notes=tuple(notes), **about,
        )  # fmt: skip
