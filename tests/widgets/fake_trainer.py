"""A trainer with the public surface of `mmpid.Trainer` and invented numbers: boards are tested without training."""

import math
import threading
import time
from dataclasses import replace

from mmpid.rules.controller import BalanceController
from mmpid.runs.record import RunRecord

CARD = {"class_names": [str(i) for i in range(10)], "device": "cpu", "seed": 0}


class FakeTrainer:
    """Learns nothing, but writes the rows of the contract: epochs, probes, decisions."""

    def __init__(
        self,
        epochs=40,
        batches=10,
        seconds=0.0,
        probe_every=5,
        fail_at=None,
        error=RuntimeError,
        busy=False,
        modalities=("audio", "image"),
        name="",
    ):
        self.record = RunRecord(CARD | {"modalities": list(modalities), "name": name})
        self.modalities = self.active = tuple(modalities)
        self.controller = BalanceController()
        self.rates = dict.fromkeys(modalities, 0.02)
        self.level = 1.0  # of all values, so that the curves of a branch are not those of its parent
        self.stage, self.epoch, self.auto, self.finished = "unimodal", 0, True, False
        self.epochs, self.batches, self.seconds, self.probe_every = epochs, batches, seconds, probe_every
        self.fail_at, self.error, self.busy = fail_at, error, busy
        self.segment = self.batch = self.total_batches = self.done = 0
        self.threads = set()

    @property
    def progress(self):
        return self.done, self.epochs

    def set_learning_rate(self, lr, modality=None):
        reason = f"by hand: {self.rates[modality]:g} -> {lr:g}"
        self.rates[modality] = lr
        self._decide("learning_rate", reason, "user", modality, rule="")

    def set_rule(self, rule):
        self.controller = replace(self.controller, rule=rule)
        self._decide("rule", f"by hand: {rule}", "user", "", rule=rule.name)

    def save(self, path):
        return self.record.save(path / "record.jsonl").parent

    def step(self, *, batches=None, epochs=None):
        self.threads.add(threading.get_ident())
        for _ in range(batches or (epochs or 1) * self.batches):
            self._micro_step()

    def fit(self):
        while not self.finished:
            self.step(batches=1)
        return self.record

    def _micro_step(self):
        if self.finished:
            return
        self.total_batches += 1
        if self.fail_at is not None and self.total_batches == self.fail_at:
            raise self.error("the loss became NaN in batch 7")
        if self.busy:
            end = time.perf_counter() + self.seconds
            while time.perf_counter() < end:
                pass
        elif self.seconds:
            time.sleep(self.seconds)
        self.batch += 1
        if self.batch == self.batches:
            self._end_epoch()

    def _end_epoch(self):
        self.batch = 0
        self.epoch += 1
        self.done += 1
        self._row("epoch", **self._scores())
        if self.epoch % self.probe_every == 0:
            self.probe()
        if self.auto and self.stage == "unimodal" and self.done >= self.epochs // 2:
            self.switch_to_joint(rewind=True, source="controller")
        self.finished = self.done >= self.epochs

    def _row(self, kind, **values):
        at = {"segment": self.segment, "stage": self.stage, "epoch": self.epoch, "step": self.total_batches}
        self.record.append(kind, **at, **values)

    def _scores(self):
        names = {name: 0.75 - 0.1 * i for i, name in enumerate(self.modalities)} | {"ens": 0.85}
        names |= {"joint": 0.9} if self.stage == "joint" else {}
        row = {"seconds": 0.1}
        for name, top in names.items():
            grown = self.level * (1 - math.exp(-self.epoch / 8))
            row |= {f"validation_accuracy.{name}": top * grown, f"train_accuracy.{name}": min(1, 1.1 * top * grown)}
            row |= {
                f"loss.{name}": 2.3 * math.exp(-self.epoch / 8),
                f"validation_loss.{name}": 0.5 + 1.8 * math.exp(-self.epoch / 8),
            }
        for name in self.modalities:
            row |= {f"active.{name}": name in self.active}
        row |= {f"lr.{name}": rate for name, rate in self.rates.items()}
        return row

    def probe(self):
        grown = self.level * (1 - math.exp(-self.epoch / 8))
        values = {"redundancy": 1.7 * grown, "unique1": 1.0 * grown * (1.2 - grown), "unique2": 0.5 * grown}
        values |= {f"unique{i + 1}": 0.3 * grown for i in range(2, len(self.modalities))}
        values["synergy"] = 0.5 * math.exp(-(((self.epoch - 15) / 10) ** 2)) + 0.05
        row = {"total": sum(values.values()), "gap": 1e-7, "n_samples": 240, "observable": "prediction"}
        row |= {"split": "probe", "correction": "permutation", "seconds": 0.2}
        for name, value in values.items():
            row |= {
                name: value,
                f"{name}_low": value - 0.12,
                f"{name}_high": value + 0.12,
                f"{name}_plugin": value + 0.3,
            }
            row |= {f"{name}_null_low": -0.04, f"{name}_null_high": 0.1, f"{name}_identified": True}
        for proxy in ("margin", "confidence"):
            for i, name in enumerate(self.modalities):
                row[f"ecs.{proxy}.{name}"] = (1 + i) * grown
                row |= {f"ecs.{proxy}.{name}.{c}": (1 + i) * grown * (1 + 0.1 * c) for c in range(10)}
        self._row("probe", **row)

    def pause(self, modality):
        self._active(tuple(m for m in self.active if m != modality), "pause", modality)

    def resume(self, modality):
        self._active(tuple(m for m in self.modalities if m in (*self.active, modality)), "resume", modality)

    def _active(self, active, action, modality):
        if not active:
            raise ValueError(f"`modality` {modality!r} is the last active one; resume another first.")
        self.active = active
        self._row(
            "decision",
            action=action,
            modality=modality,
            reason=f"You asked to {action} {modality}.",
            source="user",
            rule="",
        )

    def rewind(self, to, source="user"):
        from_row = 1 + max(i for i, row in enumerate(self.record.rows) if row["kind"] == "probe" and row["epoch"] == to)
        parent, self.segment, self.epoch, self.batch = self.segment, self.segment + 1, to, 0
        self.finished = False
        self._decide("rewind", f"Back to epoch {to}.", source, parent=parent, from_row=from_row)

    def state_dict(self):
        names = ("segment", "epoch", "batch", "done", "stage", "finished", "active", "auto", "total_batches", "rates")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state):
        vars(self).update(state)

    def branch(self, at, name=""):
        child = FakeTrainer(self.epochs, self.batches, self.seconds, self.probe_every, busy=self.busy,
                            modalities=self.modalities, name=name)  # fmt: skip
        child.record.metadata |= {"branched_at": at, "parent": self.record.metadata["name"]}
        child.record.rows += [dict(row) for row in self.record.lineage() if row["epoch"] <= at]
        child.epoch, child.done, child.level = at, at, 0.8 * self.level
        return child

    def _decide(self, action, reason, source, modality="", rule="PeakSynergy", **more):
        self._row("decision", action=action, modality=modality, reason=reason, source=source, rule=rule, **more)

    def switch_to_joint(self, rewind=True, source="user"):
        if self.stage == "joint":
            raise ValueError("The joint stage has already started.")
        probes = [row for row in self.record.lineage("probe")]
        target = None
        if rewind is True and probes:
            target = max(probes, key=lambda row: row["synergy"])["epoch"]
        elif rewind not in (True, False):
            target = rewind
        if target is not None and target != self.epoch:
            self.rewind(target, source)
        self.stage, self.active = "joint", self.modalities
        self.rates = dict.fromkeys((*self.modalities, "joint"), 0.01)
        reason = "Synergy has fallen by more than its interval since its peak."
        self._decide("switch", reason, source)
