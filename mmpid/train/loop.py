"""The training loop: batches, epochs, probes and the result. It decides nothing."""

import copy
import time
from abc import abstractmethod
from collections.abc import Iterator
from math import isfinite, isinf, nan

import numpy as np
import torch
from torch import Tensor

from mmpid.errors import TrainingError
from mmpid.models import LateFusion
from mmpid.train import engine
from mmpid.train.state import RunState, sample_order


class Loop(RunState):
    """Trains a model on data, one batch at a time.

    What to do after a probe, before an epoch and after a broken loss is left to the trainer, in three hooks. Several
    processes that train together share each batch and average their gradients through `_parallel`.
    """

    _parallel = None  # how several processes train together; None for one
    _feed: Iterator | None = None  # the batches of this epoch that are still to come
    _order: list[Tensor]  # the samples that this process trains on, batch by batch
    _sizes: list[int]  # of the whole batches
    _columns: tuple[str, ...]
    _epoch_start: float

    # ---- hooks -----------------------------------------------------------------------------------------------

    @abstractmethod
    def _probe_and_decide(self) -> None:
        """Measure, and act on it."""

    @abstractmethod
    def _before_epoch(self) -> None:
        """Do what is still to be done before training goes on."""

    @abstractmethod
    def _recover(self, reason: str) -> int | None:
        """Return to a good state after a broken loss; return its epoch, None if there is none."""

    # ---- batches ---------------------------------------------------------------------------------------------

    def _train_batch(self) -> None:
        """Train on the batch that is due, with what belongs before and after it."""
        if self._at.batch == 0:
            if self._at.epochs_run >= self.config.epochs:  # a stop, or a rewind, after the last epoch
                self._finish()
                return
            self._begin_epoch()
        at = self._at  # not before: a switch may just have gone back to another position
        try:
            self._losses[at.batch], self._right[at.batch] = self._update()
        except BaseException:
            self._feed = None  # the same batch is due again, and the feed is past it
            raise
        at.batch += 1
        at.step += 1
        last = at.batch == len(self._order)
        if last or at.batch % self.config.log_every == 0:
            self._log_batches()
        if last:
            self._end_epoch()

    def _update(self) -> tuple[Tensor, Tensor]:
        """Take one optimizer step on the batch that is due; return its losses, and how many answers were right."""
        inputs, target = self._next_batch()
        self._seed_accelerator()
        losses, right = engine.update(
            self.model, self._optimizer, inputs, target, self.active, self.stage, self.config.aux_weight,
            weight=self._class_weight, precision=self.config.precision,
            reduce=self._parallel.reduce if self._parallel else None,
        )  # fmt: skip
        return losses, right if self._parallel is None else right * (self._sizes[self._at.batch] // len(target))

    def _begin_epoch(self) -> None:
        """Probe before the very first batch, and lay out the batches of this epoch."""
        if self._at.step == 0 and not any(row["kind"] == "probe" for row in self.record.rows):
            self._probe_and_decide()
        self._before_epoch()
        self._at.cut = (0, 0)
        self._lay_out_epoch()

    def _lay_out_epoch(self) -> None:
        """Order the training samples, a function of the seed and the epoch alone, and cut them into batches.

        Batches before the place where another size was set are done; they stand as empty ones.
        """
        train = self._splits["train"]
        done, taken = self._at.cut
        order = sample_order(self.seed, self._at.epoch, len(train)).to(train.target.device)
        due = order[taken:].split(self.batch_size)
        self._order = [order[:0]] * done + [self._share(index) for index in due]
        self._sizes = [0] * done + [len(index) for index in due]
        self._feed = None
        self._columns = engine.loss_names(self.model.modalities, self.stage)
        self._losses, self._right = torch.full((2, len(self._order), len(self._columns)), nan, device=self.device)
        self._epoch_start = time.perf_counter()

    def _cut_rest(self) -> None:
        """Cut what is left of the epoch that is under way into batches of the present size."""
        done, start = self._at.batch, self._epoch_start
        sizes, losses, right = self._sizes[:done], self._losses[:done], self._right[:done]
        self._at.cut = (done, sum(sizes))
        self._lay_out_epoch()
        self._sizes[:done], self._losses[:done], self._right[:done] = sizes, losses, right
        self._epoch_start = start

    def _share(self, index: Tensor) -> Tensor:
        """Return the samples of a batch that this process trains on: all of them, when it is alone."""
        return self._parallel.share(index) if self._parallel else index

    def _next_batch(self) -> tuple[dict[str, Tensor], Tensor]:
        """Return the batch that is due; batches before it are not read again when an epoch is taken up halfway."""
        train = self._splits["train"]
        if self._feed is None:
            self._feed = train.batches(self._order[self._at.batch :], device=self.device)
        return next(self._feed)

    def _log_batches(self) -> None:
        """Read the losses since the last reading (the loop's only synchronization), refuse broken ones, append a row.

        A modality that was paused for a part of that time has NaN there, which its mean leaves out.
        """
        at, names = self._at, self._columns
        start = (at.batch - 1) // self.config.log_every * self.config.log_every
        losses = self._losses[start : at.batch]
        table = (self._parallel.mean(losses) if self._parallel else losses).tolist()
        for offset, values in enumerate(table):
            for name, value in zip(names, values, strict=True):
                if isinf(value):
                    self._fail_on_loss(
                        f"the loss of {name!r}", f"at batch {start + offset + 1} of epoch {self.epoch + 1}"
                    )
        used = [i for i, name in enumerate(names) if at.stage == "joint" or name in at.active]
        means = np.nanmean(np.array(list(zip(*table, strict=True)))[used], axis=1).tolist()
        self._append("batch", batch=at.batch, **{f"loss.{names[i]}": x for i, x in zip(used, means, strict=True)})

    def _fail_on_loss(self, what: str, where: str) -> None:
        """Return to the last good state and raise."""
        problem = f"{what} was not finite {where}"
        rates = " / ".join(dict.fromkeys(f"{group['lr']:g}" for group in self._optimizer.param_groups))
        good = self._recover(problem)
        kept = "There is no earlier state" if good is None else f"The state of epoch {good} has been restored"
        raise TrainingError(
            f"{problem}. {kept}; try a smaller `lr` (it was {rates}), or look for extreme values in the data."
        )

    # ---- epochs ----------------------------------------------------------------------------------------------

    def _end_epoch(self) -> None:
        at = self._at
        losses = (self._parallel.mean(self._losses) if self._parallel else self._losses).nanmean(0).tolist()
        self._feed = None
        if self._parallel:
            self._parallel.synchronize(self.model)  # what each process normalized by its own part
        seen = self._evaluate(self.model, "validation")
        held_out = {name: seen.loss(name) for name in self._scored()}
        for name, loss in held_out.items():
            if not isfinite(loss):  # the last update broke the weights, after its own loss was taken
                self._fail_on_loss(f"the validation loss of {name!r}", f"after epoch {at.epoch + 1}")
        at.batch, at.epoch, at.epochs_run = 0, at.epoch + 1, at.epochs_run + 1
        fields = {f"loss.{name}": x for name, x in zip(self._columns, losses, strict=True) if x == x}
        fields |= self._train_accuracies()
        for name, loss in held_out.items():
            fields[f"validation_accuracy.{name}"] = seen.accuracy(name)
            fields[f"validation_loss.{name}"] = loss
        fields |= {f"lr.{group['name']}": group["lr"] for group in self._optimizer.param_groups}
        self._append(
            "epoch", **fields, **self._active_flags(), seconds=round(time.perf_counter() - self._epoch_start, 4)
        )
        if self.config.selection == "test":
            seen = self._evaluate(self.model, "test")
        self._selector.offer(self.model, seen, self.stage, at.epoch)
        self._lower_learning_rate()
        if at.epoch % self.config.probe_every == 0 and not (self.stage == "joint" and self.config.stage2 == "off"):
            self._probe_and_decide()
        if at.epochs_run >= self.config.epochs:
            self._finish()

    def _train_accuracies(self) -> dict[str, float]:
        """Return the share of right answers among the samples that each classifier was trained on in this epoch.

        Each batch was answered before its update, and with dropout: the accuracies lag behind those on held-out data.
        """
        right = (self._parallel.mean(self._right) if self._parallel else self._right).double().cpu()
        sizes = torch.tensor(self._sizes, dtype=torch.float64)[:, None].where(~right.isnan(), nan)
        shares = right.nansum(0) / sizes.nansum(0)
        return {f"train_accuracy.{name}": x for name, x in zip(self._columns, shares.tolist(), strict=True) if x == x}

    def _evaluate(self, model: LateFusion, split: str) -> engine.Evaluation:
        """Return what a model makes of a split."""
        return engine.evaluate(
            model, self._splits[split], device=self.device, weight=self._class_weight, precision=self.config.precision
        )

    def _scored(self) -> tuple[str, ...]:
        """Return the classifiers that an epoch is judged by."""
        return (*self.modalities, "ens", *(["joint"] if self.stage == "joint" else []))

    def _finish(self) -> None:
        """Judge the selected weights on the test split, once; the model keeps its present weights."""
        seen = self._evaluate(self.selected_model(), "test")
        chosen = {f"selected_epoch.{head}": choice["epoch"] for head, choice in self._selector.choices.items()}
        fields = {f"test_accuracy.{name}": seen.accuracy(name) for name in self._scored()}
        self._append("result", selection=self.config.selection, n_test=len(seen.target), **chosen, **fields)
        self._at.finished = True

    def selected_model(self) -> LateFusion:
        """Return a copy of the model with the weights of the selected epoch, in evaluation mode."""
        model = copy.deepcopy(self.model)
        self._selector.apply(model, self.stage)
        return model.eval()

    # ---- stages and rows -------------------------------------------------------------------------------------

    def _start_joint(self) -> None:
        """Begin stage 2 from the present weights, every modality active."""
        at = self._at
        at.stage, at.active, at.batch, at.joint_epochs = "joint", self.modalities, 0, 0
        if self.config.fusion_init == "heads":
            self.model.start_joint_from_heads()
        self._selector.forget()
        self._enter_stage()

    def _set_active(self, active: tuple[str, ...]) -> None:
        self._at.active = active
        engine.set_trainable(self.model, active, self.stage, self.config, self._fixed)

    def _lower_learning_rate(self) -> None:
        """Follow the step schedule of stage 2."""
        at, every = self._at, self.config.lr_step
        at.joint_epochs += at.stage == "joint"
        if every and at.joint_epochs and at.joint_epochs % every == 0:
            for group in self._optimizer.param_groups:
                group["lr"] *= self.config.lr_gamma

    def _append(self, kind: str, **fields) -> dict:
        """Append a row that says where the run stands."""
        at = self._at
        return self.record.append(kind, segment=at.segment, stage=at.stage, epoch=at.epoch, step=at.step, **fields)

    def _active_flags(self) -> dict[str, bool]:
        return {f"active.{name}": name in self.active for name in self.modalities}
