"""Every state of the board, made of invented runs: what the tests look at and what the docs show."""

from tests.widgets.fake_trainer import FakeTrainer

SIX = ("fac", "fou", "kar", "mor", "pix", "zer")
LONG = ("a <b>microphone</b> & its preamplifier, 48k", "a camera with a very long name, number 2")
# what a probe row of version 0.1.0 did not have
NEW_ENDINGS = ("_identified", "_null_low", "_null_high", "_plugin")


def trained(n, **settings):
    """Return a run after n epochs."""
    trainer = FakeTrainer(**({"epochs": 30, "probe_every": 1} | settings))
    for _ in range(n):
        trainer.step(epochs=1)
    return trainer


def finished():
    """A whole run with its scores on test samples, as a trainer writes them at the end."""
    trainer = trained(30)
    scores = {"joint": 0.881, "ens": 0.829, "audio": 0.73, "image": 0.635}
    trainer._row("result", selection="best", n_test=360, **{f"test_accuracy.{k}": v for k, v in scores.items()})
    return trainer


def with_pause():
    """A run whose image encoder was paused for three epochs."""
    trainer = trained(3)
    trainer.pause("image")
    trainer.step(epochs=3)
    trainer.resume("image")
    trainer.step(epochs=5)
    return trainer


def not_a_number():
    """A run whose latest rows have a NaN in an atom and in an accuracy, and no loss."""
    trainer = trained(9)
    for row in trainer.record.rows[-4:]:
        row |= {"unique1": float("nan"), "validation_accuracy.audio": float("nan"), "loss.image": None}
    return trainer


def flat_zero():
    """Sixty epochs in which nobody learned anything."""
    trainer = trained(60, epochs=90)
    for row in trainer.record.rows:
        if row["kind"] == "probe":
            row |= {
                key: 0.0
                for key in row
                if key.startswith(("redundancy", "unique", "synergy", "ecs.")) and "identified" not in key
            }
    return trainer


def older_record():
    """A run whose probes were written before there were proofs, shuffled labels and proxies."""
    trainer = trained(12)
    for row in trainer.record.rows:
        if row["kind"] == "probe":
            for key in [key for key in row if key.endswith(NEW_ENDINGS) or key.startswith("ecs.")]:
                del row[key]
    trainer.record.metadata.pop("class_names")
    return trainer


STATES = {
    "empty": lambda: trained(0),
    "no probe yet": lambda: trained(3, probe_every=10),
    "one probe": lambda: trained(5, probe_every=5),
    "paused": with_pause,
    "flat zero": flat_zero,
    "not a number": not_a_number,
    "older record": older_record,
    "stage 2": lambda: trained(20),
    "finished": finished,
    "long names": lambda: trained(12, modalities=LONG),
    "three": lambda: trained(12, modalities=SIX[:3]),
    "six": lambda: trained(12, modalities=SIX),
}
