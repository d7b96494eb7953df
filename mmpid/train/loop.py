"""The training loop: batches, epochs, probes when they are due, and the result. It decides nothing."""

import time
from math import inf, isfinite, isnan

import numpy as np
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError, TrainingError
from mmpid.models import LateFusion
from mmpid.models.copies import copy_model
from mmpid.train.commands import Commands
from mmpid.train.director import Director
from mmpid.train.hooked_step import HookedStep
from mmpid.train.run import Run


class Loop:
    """Trains a run one batch at a time.

    Attributes
    ----------
    behind : bool
        Whether the folder could not be brought up to date.
    """

    def __init__(self, run: Run, director: Director, commands: Commands):
        self.run, self.director, self.commands = run, director, commands
        self.hooked = HookedStep(run.engine, run.callbacks, run.context) if run.callbacks else None
        self.behind = False
        self._started_at = time.perf_counter()

    # ---- batches -------------------------------------------------------------------------------------------------

    def train_batch(self) -> None:
        """Train on the batch that is due, with what belongs before and after it."""
        run, at = self.run, self.run.position
        if at.batch == 0:
            if run.is_spent:  # a stop, or a rewind, after the last epoch
                self._finish()
                return
            self._begin_epoch()
        if at.batch < run.epoch.n_batches:  # not so where a callback failed after the last step of an epoch
            self._take_step()
        last = at.batch == run.epoch.n_batches
        if last or at.batch % run.config.log_every == 0:
            self._log_batches()
        run.epoch.metrics.trim()
        if last:
            self._end_epoch()

    def _take_step(self) -> None:
        """Take the step of the batch that is due; if it fails, the batch stays due unless its weights have moved."""
        at = self.run.position
        try:
            self._update()
        except BaseException:
            self.run.epoch.rewind_feed()  # the feed is past the batch that is due
            if self.hooked is not None and self.hooked.moved:
                at.batch, at.step = at.batch + 1, at.step + 1
            raise
        at.batch += 1
        at.step += 1

    def _update(self) -> None:
        """Take one optimizer step on the batch that is due, and note what it gave."""
        run, at = self.run, self.run.position
        epoch, number = run.epoch, at.batch
        inputs, target = epoch.next_batch(number)
        parts = epoch.metrics.sizes[number] // len(target)
        run.random.seed_accelerator(at.step)
        if self.hooked is None:
            losses, logits = run.engine.update(inputs, target, at.active, at.stage)
        else:
            mutes = epoch.mutes(number)
            losses, logits = self.hooked.take(inputs, target, epoch.index(number), mutes, at.active, at.stage)
            target = run.context.target
        epoch.metrics.add(number, losses, logits, target, parts)

    def _begin_epoch(self) -> None:
        """Probe before the very first batch, and lay out the batches of this epoch."""
        run, at = self.run, self.run.position
        if run.callbacks and not at.started:
            run.callbacks.call("on_fit_start", run.context)
            at.started = True
        if at.step == 0 and not any(row["kind"] == "probe" for row in run.record.rows):
            self.director.probe_and_decide()
        self.director.decide()
        at.cut = (0, 0)
        if run.callbacks:
            run.callbacks.call("on_epoch_start", run.context)
        self._lay_out_epoch()

    def _lay_out_epoch(self) -> None:
        run = self.run
        run.epoch.lay_out(run.position, run.batch_size, run.columns)
        self._started_at = time.perf_counter()

    def _log_batches(self) -> None:
        """Read the losses since the last reading (the loop's only synchronization), refuse broken ones, append a row.

        A modality that was paused for a part of that time has NaN there, which its mean leaves out.
        """
        run, at, every = self.run, self.run.position, self.run.config.log_every
        start = (at.batch - 1) // every * every
        columns = list(zip(*run.epoch.metrics.losses(start, at.batch), strict=True))
        names = run.epoch.metrics.columns
        for name, values in zip(names, columns, strict=True):
            if inf in values:
                where = f"at batch {start + values.index(inf) + 1} of epoch {at.epoch + 1}"
                self._fail_on_loss(f"the loss of {name!r}", where)
        paused = () if at.stage == "joint" else set(run.data.modalities) - set(at.active)
        used = [i for i, name in enumerate(names) if name not in paused]
        means = _means([columns[i] for i in used])
        losses = {f"loss.{names[i]}": x for i, x in zip(used, means, strict=True) if not isnan(x)}
        run.append("batch", batch=at.batch, **losses)

    def _fail_on_loss(self, what: str, where: str) -> None:
        """Return to the last good state and raise."""
        problem = f"{what} was not finite {where}"
        rates = " / ".join(dict.fromkeys(f"{rate:g}" for rate in self.run.engine.learning_rates.values()))
        good = self.commands.recover(problem)
        kept = "There is no earlier state" if good is None else f"The state of epoch {good} has been restored"
        raise TrainingError(
            f"{problem}. {kept}; try a smaller `lr` (it was {rates}), or look for extreme values in the data."
        )

    # ---- epochs --------------------------------------------------------------------------------------------------

    def _end_epoch(self) -> None:
        """Judge the epoch, write it down, and do what is due between two epochs."""
        run, at, metrics = self.run, self.run.position, self.run.epoch.metrics
        fields = {f"loss.{name}": x for name, x in metrics.mean_losses().items()}
        run.epoch.rewind_feed()
        if run.parallel:
            run.parallel.synchronize(run.model)  # what each process normalized by its own part
        seen = run.evaluate(run.model, "validation")
        held_out = seen.score(run.judged)
        for name, (_, loss) in held_out.items():
            if not isfinite(loss):  # the last update broke the weights, after its own loss was taken
                self._fail_on_loss(f"the validation loss of {name!r}", f"after epoch {at.epoch + 1}")
        at.batch, at.epoch, at.epochs_run = 0, at.epoch + 1, at.epochs_run + 1
        at.joint_epochs += at.stage == "joint"
        fields |= {f"train_accuracy.{name}": x for name, x in metrics.accuracies().items()}
        for name, scores in held_out.items():
            fields[f"validation_accuracy.{name}"], fields[f"validation_loss.{name}"] = scores
        fields |= seen.metrics([m for m in run.config.metrics if m != "accuracy"], run.judged, "validation")
        fields |= {f"lr.{name}": rate for name, rate in run.engine.learning_rates.items()}
        fields |= {**run.context.take_logs(), **run.active_flags()}
        row = run.append("epoch", **fields, seconds=round(time.perf_counter() - self._started_at, 4))
        if run.config.selection == "test":
            seen = run.evaluate(run.model, "test")
        run.selector.offer(run.model, seen, at.stage, at.epoch)
        run.engine.end_epoch(at.joint_epochs, held_out["joint" if at.stage == "joint" else "ens"][1])
        try:
            if run.callbacks:
                run.context.row = row
                run.context.validation = {n: {"accuracy": a, "loss": x} for n, (a, x) in held_out.items()}
                run.callbacks.call("on_epoch_end", run.context)
        finally:  # the epoch is done, also where a callback failed
            self._between_epochs()

    def _between_epochs(self) -> None:
        """Probe if one is due, finish a run whose budget is spent, and bring its folder up to date."""
        run, at, config = self.run, self.run.position, self.run.config
        due = at.epoch % config.probe_every == 0 or (at.stage == "unimodal" and at.epoch == config.unimodal_epochs)
        if due and not (at.stage == "joint" and config.stage2 == "off"):
            self.director.probe_and_decide()
        self.director.trial.advance()
        if run.has_stopped_early and run.epochs_left:
            why = f"no head became better in the last {config.patience} epochs"
            self.commands.note("stop", why, "trainer", patience=config.patience)
        if run.is_spent:
            self._finish()
        else:
            self.keep_on_disk()

    def _finish(self) -> None:
        """Judge the selected weights on the test split, once; the model keeps its present weights."""
        run = self.run
        seen = run.evaluate(self.selected_model(), "test")
        chosen = {f"selected_epoch.{head}": choice["epoch"] for head, choice in run.selector.choices.items()}
        scores = seen.metrics(("accuracy", *(m for m in run.config.metrics if m != "accuracy")), run.judged, "test")
        run.append("result", selection=run.config.selection, n_test=len(seen.target), **chosen, **scores)
        run.position.finished = True
        self.keep_on_disk()

    def selected_model(self) -> LateFusion:
        """Return a copy of the model with the weights of the selected epoch, in evaluation mode."""
        model = copy_model(self.run.model)
        self.run.selector.apply(model, self.run.position.stage)
        return model.eval()

    def predictions(self, split: str = "test") -> dict[str, Tensor]:
        """Return logits (N, k) of every classifier on a split, with the weights of :meth:`selected_model`.

        The samples are in the order of `data.splits[split]`. The test split is refused until the run has finished:
        it is there to be read once.
        """
        run = self.run
        _validate.choice(split, "split", run.splits)
        if split == "test" and not run.position.finished:
            raise ConfigError("`split` must not be 'test' before the run has finished. Try split='validation'.")
        with run.own_process():
            seen = run.evaluate(self.selected_model(), split)
        return {name: seen.logits[name] for name in run.judged}

    def keep_on_disk(self) -> None:
        """Bring the folder of the run up to date; what fails, for example on a full disk, is due again."""
        if self.run.folder:
            self.behind = True
            self.run.folder.keep(self.run.record, self.run.snapshot(), self.director.checkpoints.store)
            self.behind = False

    def catch_up(self) -> None:
        """Write what could not be written before."""
        if self.behind:
            self.keep_on_disk()


def _means(rows: list[tuple[float, ...]]) -> list[float]:
    """Return the mean of each row without its NaN; the usual table, which has none, is spared the search for them."""
    table = np.array(rows)
    sums = table.sum(1).tolist()
    if not any(map(isnan, sums)):
        return [x / len(rows[0]) for x in sums]
    known = ~np.isnan(table).all(1)
    means = np.full(len(table), np.nan)
    means[known] = np.nanmean(table[known], axis=1)
    return means.tolist()
