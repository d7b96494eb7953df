"""Late fusion: an encoder and a unimodal head for each modality, and one joint head over all embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError, InputError
from mmpid.models.care import Care, encode
from mmpid.models.encoders import embedding_dim, make_encoder
from mmpid.models.fusion import KINDS, make_fusion, name_of_fusion
from mmpid.models.modes import default_float32
from mmpid.models.scorers import score_embeddings
from mmpid.models.sizes import UNSIZED, find_sizes
from mmpid.models.validation import check_dims, check_encoder, check_kinds, declared_dim

HOW_TO_LOAD = "Try mmpid.datasets.load(name), or MultimodalData.from_arrays(inputs, target) for data of your own."


@dataclass(frozen=True)
class Output:
    """What one forward pass gives: joint logits (B, k), unimodal logits and embeddings by modality."""

    logits: Tensor
    unimodal: dict[str, Tensor]
    embeddings: dict[str, Tensor]


class LateFusion(nn.Module):
    """A late-fusion classifier in which every modality also has its own scorer.

    Embeddings are ``z_m = encoder_m(x_m)``, unimodal logits ``f_m = V_m z_m + c_m``, and joint logits

    * `fusion="concat"`: ``f = W [z_1; ...; z_M] + b``;
    * `fusion="sum"`: ``f = sum_m (W_m z_m + b_m)``, as functions of z the same, from another initial scale;
    * `fusion="film"`, `"gated"`, `"attention"`: ``f = W [z_1; ...; z_M] + b + V h(z_1, ..., z_M) + c`` with an
      interaction h, see :mod:`mmpid.models.fusion`.

    Parameters
    ----------
    encoders : mapping of str to nn.Module
        One encoder per modality, from samples (B, ...) to embeddings (B, d), or to sequences of tokens (B, T, d) for
        a fusion module that takes them; unimodal heads and probes then see the mean over tokens. For tuples, dicts,
        maps of features and tokens see the adapters of :mod:`mmpid.models`.
    n_classes : int
        Number of classes k.
    fusion : {"concat", "sum", "film", "gated", "attention"} or nn.Module
        How embeddings meet: by name, or a module from a dict of embeddings by modality to joint logits (B, k). A
        module that also has `start_from_heads(heads)` can start stage 2 from the unimodal heads.
    dims : mapping of str to int, optional
        Embedding sizes d. Without them, `dim` or `out_features` of the encoder's last layer is a first guess, and
        :meth:`find_sizes`, which a `Trainer` calls, measures them on two samples of the data.

    Notes
    -----
    Two-stage training calls :meth:`start_joint_from_heads` at the hand-over: with every fusion the joint logits then
    start as the average of the unimodal logits. A random head throws away what stage 1 learned and needs a large
    learning rate to recover.

    Examples
    --------
    >>> import torch
    >>> model = LateFusion({"a": torch.nn.Linear(4, 3), "b": torch.nn.Linear(6, 3)}, n_classes=2)
    >>> model({"a": torch.zeros(5, 4), "b": torch.zeros(5, 6)}).logits.shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        n_classes: int,
        *,
        fusion: str | nn.Module = "concat",
        dims: Mapping[str, int] | None = None,
    ):
        super().__init__()
        if not isinstance(encoders, Mapping) or len(encoders) < 2:
            raise ConfigError(
                f"`encoders` must map two or more modality names to modules; it was {encoders!r}. For example "
                f"{{'audio': net, 'image': other_net}}."
            )
        for name, module in encoders.items():
            check_encoder(name, module)
        self.fusion_name = name_of_fusion(fusion)
        self.n_classes = _validate.number(n_classes, "n_classes", low=2, integer=True)
        self.given_dims = check_dims(dims, encoders) if dims else None
        self.encoders = nn.ModuleDict(encoders)
        guessed = self.given_dims or {name: declared_dim(module) for name, module in encoders.items()}
        self.dims: dict[str, int] = {}
        self.heads, self.fusion = nn.ModuleDict(), fusion if isinstance(fusion, nn.Module) else nn.Identity()
        if all(guessed.values()):
            self.make_heads(guessed)
        self.extras = nn.ModuleDict()  # modules that callbacks add
        self.spec: dict | None = None
        self.care: dict[str, Care] = {}
        self.needs_two = False

    @classmethod
    def from_data(
        cls, data, *, fusion: str | nn.Module = "concat", encoder: str | Mapping[str, Any] = "mlp", seed: int = 0
    ) -> "LateFusion":
        """Build a model that fits `data`, with built-in encoders and reproducible initial weights.

        Parameters
        ----------
        data : MultimodalData
            Gives modalities, sample shapes and the number of classes.
        fusion : str or nn.Module
            See the class.
        encoder : {"mlp", "cnn", "cnn1d", "resnet18"} or mapping
            Built-in encoder for all modalities, or for each modality a name or a module of your own.
        seed : int
            Seed of the initial weights; the global random state is left as it was.

        Examples
        --------
        >>> from mmpid import datasets
        >>> LateFusion.from_data(datasets.load("av-digits"), seed=0).modalities
        ('audio', 'image')
        """
        _validate.instance(data, "data", MultimodalData, "MultimodalData", HOW_TO_LOAD)
        kinds = check_kinds(encoder, data)
        seed = _validate.number(seed, "seed", low=0, integer=True)
        with torch.random.fork_rng(devices=[]), default_float32():
            # not torch.manual_seed: that would also set the accelerator's generator, which belongs to others
            torch.default_generator.manual_seed(seed)
            encoders = {name: make_encoder(shape, kinds[name]) for name, shape in data.shapes.items()}
            sample = data.sample(2)
            if not all(isinstance(kind, str) for kind in kinds.values()):
                return cls(encoders, data.n_classes, fusion=fusion).find_sizes(sample, seed=seed)
            dims = {name: embedding_dim(module, sample[name], name) for name, module in encoders.items()}
            model = cls(encoders, data.n_classes, fusion=fusion, dims=dims)
        model.spec = {"fusion": fusion, "encoder": kinds, "seed": seed} if isinstance(fusion, str) else None
        return model

    def make_heads(self, dims: Mapping[str, int]) -> None:
        """Make the unimodal heads and, unless it is a module of the user's own, the fusion head, for these sizes."""
        self.dims = dict(dims)
        self.heads = nn.ModuleDict({name: nn.Linear(d, self.n_classes) for name, d in self.dims.items()})
        if self.fusion_name in KINDS:
            self.fusion = make_fusion(self.fusion_name, self.dims, self.n_classes)

    def find_sizes(self, inputs: Mapping[str, Tensor], *, seed: int = 0) -> "LateFusion":
        """Try every encoder on two samples, and make heads that fit; return the model. A `Trainer` does so when built.

        Encoders stay as they are, but lazy layers get their sizes. Heads that fit already are kept.

        Parameters
        ----------
        inputs : mapping of str to Tensor
            Two samples or more of every modality, such as ``data.sample(2)``.
        seed : int
            Seed of weights that are made here; the global random state is left as it was.

        Raises
        ------
        InputError
            An encoder or a fusion module fails, or returns another form or size than it must.

        Examples
        --------
        >>> import torch
        >>> nets = {"a": torch.nn.Conv1d(1, 4, 3), "b": torch.nn.Linear(6, 3)}
        >>> model = LateFusion({name: torch.nn.Sequential(net, torch.nn.Flatten()) for name, net in nets.items()}, 2)
        >>> model.find_sizes({"a": torch.zeros(2, 1, 9), "b": torch.zeros(2, 6)}).dims
        {'a': 28, 'b': 3}
        """
        return find_sizes(self, inputs, _validate.number(seed, "seed", low=0, integer=True))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(self.encoders)

    def embed(self, inputs: Mapping[str, Tensor], names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return what the encoders make of a batch, (B, d) or (B, T, d), of all modalities or of those named."""
        if isinstance(inputs, Tensor):
            raise InputError(f"`inputs` must map modalities to tensors, {', '.join(self.encoders)}; it was one tensor.")
        wanted = self.modalities if names is None else names
        missing = [name for name in wanted if name not in inputs]
        if missing:
            raise InputError(
                f"`inputs` must hold every modality, {', '.join(self.encoders)}; {', '.join(missing)} is missing."
            )
        return {name: encode(name, self.encoders[name], inputs[name], self.care.get(name)) for name in wanted}

    def pool(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return embeddings (B, d): features as they are, and of sequences of tokens their mean."""
        return {name: x.mean(1) if x.ndim == 3 else x for name, x in features.items()}

    def fuse(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the joint logits (B, k) of features."""
        return self.fusion(features)

    def classify(self, features: Mapping[str, Tensor], *, joint: bool = True) -> dict[str, Tensor]:
        """Return the unimodal logits (B, k) of the features given and, with `joint`, those of the fusion head."""
        if not self.dims:
            raise ConfigError(UNSIZED)
        logits = {name: self.heads[name](z) for name, z in self.pool(features).items()}
        return {**logits, "joint": self.fuse(features)} if joint else logits

    def forward(self, inputs: Mapping[str, Tensor]) -> Output:
        """Return joint logits, unimodal logits and embeddings of a batch."""
        features = self.embed(inputs)
        logits = self.classify(features)
        return Output(logits.pop("joint"), logits, self.pool(features))

    def score(
        self,
        inputs: Mapping[str, Tensor] | None = None,
        *,
        how: str = "head",
        embeddings: Mapping[str, Tensor] | None = None,
        means: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Return logits (B, k) that each modality would give by itself, by one of three definitions.

        * ``how="head"``: the auxiliary head, ``V_m z_m + c_m``.
        * ``how="split"``: the modality's share of the joint logits, ``W_m z_m + b / M`` ("concat") or ``W_m z_m +
          b_m`` ("sum"); the shares add up to the joint logits.
        * ``how="ablation"``: the joint logits with the embeddings of all other modalities replaced by their means,
          ``f(z_m, mean of the others)``; works with every fusion.

        Parameters
        ----------
        inputs : mapping of str to Tensor, optional
            Samples (B, ...) of every modality. Give these or `embeddings`.
        how : {"head", "split", "ablation"}
            See above.
        embeddings : mapping of str to Tensor, optional
            Embeddings (B, d) of every modality, as :meth:`embed` returns them.
        means : mapping of str to Tensor, optional
            Mean embedding (d,) of each modality over some reference samples, for "ablation"; zero by default.

        Returns
        -------
        dict of str to Tensor
            Logits (B, k) by modality.

        Raises
        ------
        ConfigError
            An unknown definition, or "split" for a fusion that is not a sum over modalities.
        InputError
            Neither or both of `inputs` and `embeddings`, a modality that is missing, or means of another size.

        Notes
        -----
        How each can mislead. The head is trained on its own loss: it says what can be read from the embedding, not
        what the joint head reads; with that loss switched off it is random. A share is not a calibrated classifier: it
        was only ever trained in the sum, the bias is divided evenly by convention, and a large share may be canceled
        by another. Ablation asks the joint head about embeddings it has not seen together: with zeros it may lie far
        from the data, so give means of the training split; and interactions count for every modality in them.

        References
        ----------
        Peng et al. (2022), Balanced multimodal learning via on-the-fly gradient modulation, CVPR, eq. 8 ("split").

        Examples
        --------
        >>> import torch
        >>> model = LateFusion({"a": torch.nn.Linear(4, 3), "b": torch.nn.Linear(6, 3)}, n_classes=2)
        >>> x = {"a": torch.ones(5, 4), "b": torch.ones(5, 6)}
        >>> torch.allclose(sum(model.score(x, how="split").values()), model(x).logits, atol=1e-6)
        True
        """
        if (inputs is None) == (embeddings is None):
            raise InputError("give `inputs` or `embeddings`, one of the two.")
        if inputs is not None:
            embeddings = self.embed(inputs)
        return score_embeddings(self, cast("Mapping[str, Tensor]", embeddings), how, means)

    @property
    def starts_from_heads(self) -> bool:
        """Whether the fusion head can start as the average of the unimodal heads."""
        return hasattr(self.fusion, "start_from_heads")

    def start_joint_from_heads(self) -> None:
        """Set the fusion head to the average of the unimodal heads, so that joint logits start as their ensemble."""
        if not self.starts_from_heads:
            raise ConfigError(
                f"the fusion {self.fusion_name} has no method `start_from_heads(heads)`. Give it one, or train with "
                "fusion_init='random'."
            )
        cast(Any, self.fusion).start_from_heads(self.heads)

    def modality_parameters(self, name: str) -> list[nn.Parameter]:
        """Return the parameters that belong to one modality: its encoder and its unimodal head."""
        heads = [self.heads[name]] if name in self.heads else []
        return [p for part in (self.encoders[name], *heads) for p in part.parameters()]
