"""The training loop of stacked seeds: the arithmetic of the trainer's loop, for all seeds in one operation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.datasets import MultimodalData
from mmpid.errors import InputError, TrainingError
from mmpid.models import LateFusion
from mmpid.studies.stacked_model import StackedLateFusion
from mmpid.train.config import TrainConfig
from mmpid.train.random_numbers import sample_order


@dataclass(frozen=True)
class Stage:
    """One stretch of a schedule: which parts learn, from which losses, at what rate."""

    name: str
    epochs: int
    lr: float
    heads: bool
    encoders: bool
    aux: float = 0.0
    from_heads: bool = False


class StackedRun:
    """The stacked models with their data, and where they stand."""

    def __init__(self, models, drawn, seeds, config: TrainConfig, device: torch.device):
        self.net, self.seeds = StackedLateFusion(models, device), seeds
        self.config, self.device = config, device
        self.splits = {name: _stack(drawn, name, device) for name in ("train", "validation", "test")}
        self.epoch, self.rows = 0, []

    def train(self, stages: Sequence[Stage]) -> tuple[list[dict], list[dict], list[LateFusion]]:
        """Go through the stages; return a row per seed and classifier, a row per seed and epoch, and the models."""
        for stage in stages:
            self._enter(stage)
            for done in range(stage.epochs):
                losses = self._train_epoch(stage)
                self._end_epoch(stage, losses)
                every = self.config.lr_step
                if stage.name == "joint" and every and (done + 1) % every == 0:
                    self.lr *= self.config.lr_gamma
        return self._judge(stages[-1]), self.rows, self.net.unstack()

    def _enter(self, stage: Stage) -> None:
        """Start a stage: its head, a fresh optimizer, nothing selected yet."""
        if stage.from_heads:
            self.net.start_joint_from_heads()
        kinds = [kind for kind, moves in (("encoders", stage.encoders), ("heads", stage.heads)) if moves]
        kinds += ["fusion"] if stage.name == "joint" else []
        self.parts = [part for key, part in self.net.parts.items() if key.partition(".")[0] in kinds]
        self.momentum = [torch.zeros_like(part.flat) for part in self.parts]
        self.adamw = None
        if self.config.optimizer == "adamw":
            for part in self.parts:
                part.flat.grad = part.grad
            self.adamw = torch.optim.AdamW(
                [p.flat for p in self.parts], lr=stage.lr, weight_decay=self.config.weight_decay
            )
        self.lr, self.choices, self.kept = stage.lr, {}, {}

    def _train_epoch(self, stage: Stage) -> dict[str, Tensor]:
        """Take every batch once; return the mean loss of each classifier, (S,)."""
        inputs, target = self.splits["train"]
        n = target.shape[1]
        order = torch.stack([sample_order(seed, self.epoch, n) for seed in self.seeds]).to(self.device)
        inputs = {name: _take(x, order) for name, x in inputs.items()}
        target = target.gather(1, order)
        batches = []
        for start in range(0, n, self.config.batch_size):
            part = slice(start, start + self.config.batch_size)
            batches.append(self._update({name: x[:, part] for name, x in inputs.items()}, target[:, part], stage))
        return {name: torch.stack([losses[name] for losses in batches]).mean(0) for name in batches[0]}

    def _update(self, inputs: dict[str, Tensor], target: Tensor, stage: Stage) -> dict[str, Tensor]:
        """Take one optimizer step for every seed; return the losses (S,) in nats."""
        joint = stage.name == "joint"
        out = self.net.forward(inputs, self.net.modalities if stage.heads else (), joint)
        losses, slopes = {}, {}
        for part, activations in out.items():
            kind, _, name = part.partition(".")
            if kind != "encoders":
                name, weight = name or "joint", stage.aux if joint and name else 1.0
                losses[name], slopes[name] = _cross_entropy(activations[-1], target, weight)
        self.net.backward(out, slopes, stage.encoders)
        self._step()
        return losses

    def _step(self) -> None:
        """Move the weights: the arithmetic of torch.optim, in place."""
        if self.adamw:
            self.adamw.param_groups[0]["lr"] = self.lr
            self.adamw.step()
            return
        for part, buffer in zip(self.parts, self.momentum, strict=True):
            part.grad.add_(part.flat, alpha=self.config.weight_decay)
            buffer.mul_(self.config.momentum).add_(part.grad)
            part.flat.add_(buffer, alpha=-self.lr)

    def _end_epoch(self, stage: Stage, losses: dict[str, Tensor]) -> None:
        """Evaluate, write the curves down and keep what is best."""
        self.epoch += 1
        for name, values in losses.items():
            if not bool(values.isfinite().all()):
                bad = [seed for seed, value in zip(self.seeds, values.tolist(), strict=True) if value - value != 0]
                raise TrainingError(
                    f"the loss of {name!r} was not finite in epoch {self.epoch} for seeds {bad}. Try a smaller `lr` "
                    f"(it was {self.config.lr:g}), or look for extreme values in the data."
                )
        scores = self._evaluate("validation", stage)
        columns = {f"loss.{name}": x.tolist() for name, x in losses.items()}
        columns |= {f"validation_accuracy.{name}": accuracy.tolist() for name, (accuracy, _) in scores.items()}
        for i, seed in enumerate(self.seeds):
            values = {key: column[i] for key, column in columns.items()}
            self.rows.append({"seed": seed, "stage": stage.name, "epoch": self.epoch, **values})
        self._select(stage, scores if self.config.selection != "test" else self._evaluate("test", stage))

    def _evaluate(self, split: str, stage: Stage) -> dict[str, tuple[Tensor, Tensor]]:
        """Return accuracy (S,) and loss (S,) of every classifier of the stage."""
        inputs, target = self.splits[split]
        joint = stage.name == "joint"
        out = self.net.forward(inputs, self.net.modalities, joint)
        logits = {name: out[f"heads.{name}"][-1] for name in self.net.modalities}
        logits["ens"] = torch.stack(list(logits.values())).mean(0)
        logits |= {"joint": out["fusion"][-1]} if joint else {}
        return {
            name: ((z.argmax(2) == target).float().mean(1), _cross_entropy(z, target, 1.0)[0])
            for name, z in logits.items()
        }

    def _select(self, stage: Stage, scores: dict[str, tuple[Tensor, Tensor]]) -> None:
        """Keep the present weights of every head of every seed that is better than before."""
        for head in ("joint",) if stage.name == "joint" else self.net.modalities:
            accuracy, loss = scores[head]
            own = {
                key: part for key, part in self.net.parts.items() if head == "joint" or key.partition(".")[2] == head
            }
            if head not in self.choices:
                epoch = torch.full_like(accuracy, self.epoch, dtype=torch.int64)
                self.choices[head] = [accuracy.clone(), loss.clone(), epoch]
                self.kept[head] = {key: [value.clone() for value in part.values] for key, part in own.items()}
                continue
            best, best_loss, epochs = self.choices[head]
            better = (accuracy > best) | ((accuracy == best) & (loss < best_loss)) | (self.config.selection == "last")
            best[better], best_loss[better], epochs[better] = accuracy[better], loss[better], self.epoch
            for key, part in own.items():
                for kept, value in zip(self.kept[head][key], part.values, strict=True):
                    kept[better] = value[better]

    def _judge(self, stage: Stage) -> list[dict]:
        """Judge the selected weights on the test split; the models keep their last ones."""
        last = {key: part.flat.clone() for key, part in self.net.parts.items()}
        for kept in self.kept.values():
            for key, values in kept.items():
                for value, chosen in zip(self.net.parts[key].values, values, strict=True):
                    value.copy_(chosen)
        scores = self._evaluate("test", stage)
        for key, flat in last.items():
            self.net.parts[key].flat.copy_(flat)
        names = ["joint"] if stage.name == "joint" else [*self.net.modalities, "ens"]
        rows = []
        for i, seed in enumerate(self.seeds):
            for name in names:
                chosen = int(self.choices[name][2][i]) if name in self.choices else None
                accuracy = float(scores[name][0][i])
                rows.append({"seed": seed, "head": name, "test_accuracy": accuracy, "selected_epoch": chosen})
        return rows


def _cross_entropy(logits: Tensor, target: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Return the mean loss (S,) of logits (S, n, k), and `weight` times its slope ``(softmax - onehot) / n``."""
    log_p = logits.mT.contiguous().log_softmax(1)  # several times faster along an axis that is not the last
    index = target.unsqueeze(1)
    losses = -log_p.gather(1, index).mean((1, 2))
    scale = weight / target.shape[1]
    slope = log_p.exp_().mul_(scale)
    slope.scatter_add_(1, index, slope.new_full((), -scale).expand(index.shape))
    return losses, slope.mT


def _take(x: Tensor, order: Tensor) -> Tensor:
    """Reorder the samples of each seed; x is (S, N, d), or (1, N, d) when all seeds share it."""
    if len(x) > 1:
        order = order + torch.arange(len(order), device=x.device)[:, None] * x.shape[1]
    return x.flatten(0, 1).index_select(0, order.flatten()).view(*order.shape, -1)


def _stack(drawn: list[MultimodalData], name: str, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """Return one split of all seeds: samples (S, n, d) by modality and labels (S, n)."""
    parts = [each.split(name) for each in ([drawn[0]] if all(x is drawn[0] for x in drawn) else drawn)]
    shapes = {(len(part), *(tuple(part.inputs[m].shape) for m in drawn[0].modalities)) for part in parts}
    if len(shapes) > 1:
        raise InputError(
            f"the {name!r} split must have one size for all seeds to be stacked; sizes were "
            f"{sorted({len(part) for part in parts})}. Use mmpid.compare, which trains one seed after another."
        )
    inputs = {m: torch.stack([part.inputs[m].flatten(1) for part in parts]).to(device) for m in drawn[0].modalities}
    target = torch.stack([part.target for part in parts]).to(device)
    return {m: x.expand(len(drawn), -1, -1) if name != "train" else x for m, x in inputs.items()}, target.expand(
        len(drawn), -1
    )
