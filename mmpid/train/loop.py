"""The training loop: batches, epochs, probes and the result. It decides nothing."""

import copy
import time
from abc import abstractmethod
from collections.abc import Iterator
from math import inf, isfinite, isnan

import numpy as np
from torch import Tensor

from mmpid.errors import TrainingError
from mmpid.models import LateFusion
from mmpid.train import engine
from mmpid.train.metrics import EpochMetrics
from mmpid.train.state import RunState, sample_order


class Loop(RunState):
    """Trains a model on data, one batch at a time.

    What to do after a probe, before an epoch and after a broken loss is left to the trainer, in three hooks. Several
    processes that train together share each batch and average their gradients through `_parallel`.
    """

    _parallel = None  # how several processes train together; None for one
    _feed: Iterator | None = None  # the batches of this epoch that are still to come
    _order: list[Tensor]  # the samples that this process trains on, batch by batch
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
            if self._is_spent:  # a stop, or a rewind, after the last epoch
                self._finish()
                return
            self._begin_epoch()
        at = self._at  # not before: a switch may just have gone back to another position
        try:
            self._update()
        except BaseException:
            self._feed = None  # the same batch is due again, and the feed is past it
            raise
        at.batch += 1
        at.step += 1
        last = at.batch == len(self._order)
        if last or at.batch % self.config.log_every == 0:
            self._log_batches()
        self._metrics.trim()
        if last:
            self._end_epoch()

    def _update(self) -> None:
        """Take one optimizer step on the batch that is due, and note what it gave."""
        inputs, target = self._next_batch()
        self._seed_accelerator()
        losses, logits = engine.update(
            self.model, self._optimizer, inputs, target, self.active, self.stage, self.config.aux_weight,
            weight=self._class_weight, precision=self.config.precision,
            reduce=self._parallel.reduce if self._parallel else None,
        )  # fmt: skip
        self._metrics.note(self._at.batch, losses, logits, target)

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
        self._feed = None
        sizes = [0] * done + [len(index) for index in due]
        mean = self._parallel.mean if self._parallel else None
        self._metrics = EpochMetrics(engine.loss_names(self.modalities, self.stage), sizes, self.device, mean)
        self._epoch_start = time.perf_counter()

    def _cut_rest(self) -> None:
        """Cut what is left of the epoch that is under way into batches of the present size."""
        done, start, before = self._at.batch, self._epoch_start, self._metrics
        self._at.cut = (done, sum(before.sizes[:done]))
        self._lay_out_epoch()
        self._metrics.take(before, done)
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
        at, names = self._at, self._metrics.columns
        start = (at.batch - 1) // self.config.log_every * self.config.log_every
        columns = list(zip(*self._metrics.losses(start, at.batch), strict=True))
        for name, values in zip(names, columns, strict=True):
            if inf in values:
                where = f"at batch {start + values.index(inf) + 1} of epoch {self.epoch + 1}"
                self._fail_on_loss(f"the loss of {name!r}", where)
        used = [i for i, name in enumerate(names) if at.stage == "joint" or name in at.active]
        means = _means([columns[i] for i in used])
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
        fields = {f"loss.{name}": x for name, x in self._metrics.mean_losses().items()}
        self._feed = None
        if self._parallel:
            self._parallel.synchronize(self.model)  # what each process normalized by its own part
        seen = self._evaluate(self.model, "validation")
        held_out = seen.score(self._scored())
        for name, (_, loss) in held_out.items():
            if not isfinite(loss):  # the last update broke the weights, after its own loss was taken
                self._fail_on_loss(f"the validation loss of {name!r}", f"after epoch {at.epoch + 1}")
        at.batch, at.epoch, at.epochs_run = 0, at.epoch + 1, at.epochs_run + 1
        at.joint_epochs += at.stage == "joint"
        fields |= {f"train_accuracy.{name}": x for name, x in self._metrics.accuracies().items()}
        for name, scores in held_out.items():
            fields[f"validation_accuracy.{name}"], fields[f"validation_loss.{name}"] = scores
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
        if self._is_spent:
            self._finish()

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

    def _start_joint(self, from_scratch: bool = False) -> None:
        """Begin stage 2 from the present weights, every modality active; from scratch nothing is handed over."""
        at = self._at
        at.stage, at.active, at.batch, at.joint_epochs = "joint", self.modalities, 0, 0
        if self.config.fusion_init == "heads" and not from_scratch:
            self.model.start_joint_from_heads()
        self._selector.forget()
        self._enter_stage(from_scratch)

    def _set_active(self, active: tuple[str, ...]) -> None:
        self._at.active = active
        engine.set_trainable(self.model, active, self.stage, self.config, self._fixed)

    def _lower_learning_rate(self) -> None:
        """Follow the step schedule of stage 2."""
        at, every = self._at, self.config.lr_step
        if every and at.joint_epochs and at.joint_epochs % every == 0:
            for group in self._optimizer.param_groups:
                group["lr"] *= self.config.lr_gamma

    def _append(self, kind: str, **fields) -> dict:
        """Append a row that says where the run stands."""
        at = self._at
        return self.record.append(kind, segment=at.segment, stage=at.stage, epoch=at.epoch, step=at.step, **fields)

    def _active_flags(self) -> dict[str, bool]:
        return {f"active.{name}": name in self.active for name in self.modalities}


def _means(rows: list[tuple[float, ...]]) -> list[float]:
    """Return the mean of each row without its NaN; the usual table, which has none, is spared the search for them."""
    table = np.array(rows)
    sums = table.sum(1).tolist()
    return np.nanmean(table, axis=1).tolist() if any(map(isnan, sums)) else [x / len(rows[0]) for x in sums]
