"""The sentence about a run, in every situation: who leads, how sure that is, what happens next."""

import math

import pytest

from mmpid.plots.headline import headline, headline_of
from mmpid.runs import RunRecord

SETTINGS = {"epochs": 30, "probe_every": 1, "unimodal_epochs": 24}
RULE = {"name": "RedundancyPlateau", "patience": 5, "min_share": 0.75}
CONTROLLER = {"warmup": 2, "uniqueness_ratio": 3.0, "floor": 0.05, "max_pause": 2, "give_up_after": 5, "rule": RULE}
SIZES = {"sizes": {"validation": 100, "train": 640}}


def make(names=("audio", "image")):
    metadata = {"modalities": list(names), "class_names": list("0123456789"), "data": SIZES}
    return RunRecord(metadata | {"settings": SETTINGS, "controller": CONTROLLER})


def probe(record, epoch, unique, redundancy=0.3, *, half=0.1, stage="unimodal", null=0.05, **more):
    atoms = {"redundancy": redundancy, "synergy": 0.1}
    atoms |= {f"unique{i}": value for i, value in enumerate(unique, start=1)}
    row = {"n_samples": 2400, "observable": "prediction", "gap": 0.0}
    for name, value in atoms.items():
        row[name] = value
        if half is not None:
            row |= {f"{name}_low": value - half, f"{name}_high": value + half}
        row |= {f"{name}_null_low": -null, f"{name}_null_high": null}
    at = {"segment": 0, "stage": stage, "epoch": epoch, "step": 10 * epoch}
    record.append("probe", **at, **(row | more))


def epoch_row(record, epoch, stage="unimodal", **values):
    record.append("epoch", segment=0, stage=stage, epoch=epoch, step=10 * epoch, **values)


def decide(record, epoch, action, modality="", source="controller", stage="unimodal", **more):
    at = {"segment": 0, "stage": stage, "epoch": epoch, "step": 10 * epoch}
    record.append("decision", **at, action=action, modality=modality, reason="", rule="", source=source, **more)


def learning(unique, redundancy=0.3, n=4, **how):
    """A run with `n` equal probes."""
    record = make(how.pop("names", ("audio", "image")))
    for epoch in range(n):
        if epoch:
            epoch_row(record, epoch)
        probe(record, epoch, unique, redundancy, **how)
    return record


def scores(joint=0.9, average=0.85, key="validation"):
    return {f"{key}_accuracy.{n}": v for n, v in (("audio", 0.6), ("image", 0.7), ("ens", average), ("joint", joint))}


def jointly(now=(0.4, 0.5), redundancy=1.5, **how):
    record = learning((0.4, 0.5), 1.5, n=4)
    decide(record, 3, "switch", stage="joint")
    epoch_row(record, 4, "joint", **scores(**how))
    probe(record, 4, now, redundancy, stage="joint")
    return record


def finished(joint, average, n=400):
    record = jointly()
    at = {"segment": 0, "stage": "joint", "epoch": 30, "step": 300}
    record.append("result", **at, n_test=n, **scores(joint, average, "test"))
    return record


def paused(unique, source="controller"):
    record = learning(unique)
    decide(record, 3, "pause", "image", source)
    return record


def switched(**more):
    record = learning((0.4, 0.5), n=7)
    decide(record, 6, "switch", stage="joint", **more)
    return record


SITUATIONS = {
    "empty": (make, "Which encoder will lead, audio or image?", ""),
    "early": (lambda: learning((0.1, 0.9), n=2), "Too early to say who leads.", "early"),
    "no interval": (lambda: learning((0.1, 0.9), half=None), "Too early to say who leads.", "early"),
    "unreadable": (lambda: learning((math.nan, 0.9)), "This probe could not be read.", "early"),
    "nothing": (lambda: learning((0.01, 0.0), 0.02), "Nobody alone knows the label yet.", "noise"),
    "paused": (lambda: paused((0.2, 0.9)), "Image runs ahead; it is paused so that audio catches up.", "clear"),
    "paused, no lead": (lambda: paused((0.5, 0.55)), "Image is paused; its lead is within noise now.", "noise"),
    "starves": (lambda: learning((0.2, 0.9)), "Image leads, audio may starve.", "clear"),
    "lead": (lambda: learning((0.9, 0.5)), "Audio leads, image lags behind.", "clear"),
    "doubtful": (
        lambda: learning((0.2, 0.5), 1.5, n_samples=240, unique2_proven=False),
        "Image seems to lead, audio to lag behind.",
        "doubtful",
    ),
    "no leader": (lambda: learning((0.5, 0.55)), "No clear leader: image and audio are within noise.", "noise"),
    "switch": (switched, "Stage 1 has leveled off: joint training starts.", "clear"),
    "switch by hand": (lambda: switched(source="user"), "Joint training starts from epoch 6.", "clear"),
    "from scratch": (lambda: switched(from_scratch=True), "Joint training starts from scratch.", "clear"),
    "joint": (jointly, "Training together: joint 90 %, average 85 %.", "noise"),
    "joint, clear": (lambda: jointly(average=0.5), "Training together: joint 90 %, average 50 %.", "clear"),
    "falls behind": (lambda: jointly((0.05, 0.9), 0.9), "In joint training audio falls behind again.", "clear"),
    "finished": (lambda: finished(0.9, 0.89), "Joint 90 %, plain average 89 %: no clear difference.", "noise"),
    "finished, joint": (
        lambda: finished(0.95, 0.80),
        "Joint is right more often than the average, 95 to 80 %.",
        "clear",
    ),
    "finished, average": (
        lambda: finished(0.80, 0.95),
        "The plain average is right more often, 95 to 80 %.",
        "clear",
    ),
    "many, equal": (
        lambda: learning((0.1,) * 4, 0.5, names=("a", "b", "c", "d")),
        "No clear leader among the four encoders.",
        "noise",
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_has_its_sentence_and_says_how_sure_it_is(name):
    record, sentence, sure = SITUATIONS[name]
    found = headline(record())
    assert (found.sentence, found.sure) == (sentence, sure)
    assert found.next.endswith(".")


@pytest.mark.parametrize("name", SITUATIONS)
def test_sentence_and_evidence_fit_their_lines(name):
    found = headline(SITUATIONS[name][0]())
    assert len(found.sentence) <= 58
    assert len(f"{found.evidence} Next: {found.next}") <= 110


LONG = ("a <b>microphone</b> & its preamplifier, 48k", "a camera with a very long name, number 2")


@pytest.mark.parametrize("unique", [(0.2, 0.9), (0.9, 0.5), (0.5, 0.55)])
@pytest.mark.parametrize("pause", [False, True])
def test_names_of_forty_characters_do_not_break_the_line(unique, pause):
    record = learning(unique, names=LONG)
    if pause:
        decide(record, 3, "pause", LONG[0])
    found = headline(record)
    assert len(found.sentence) <= 58
    assert len(found.evidence) + len(found.next) <= 125


def test_a_failure_comes_before_everything():
    found = headline(
        finished(0.9, 0.8), failure="RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x32 and 31x10)"
    )
    assert found.situation == "failed" and found.words[0][1] == "error"
    assert found.sentence.startswith("Training stopped at epoch 4: mat1 and mat2") and len(found.sentence) <= 58
    assert "RuntimeError" in found.evidence and "Play tries again" in found.next


def test_modalities_stand_in_their_color():
    words = headline(learning((0.2, 0.9))).words
    assert ("Image", "m1") in words and ("audio", "m0") in words


def test_in_manual_mode_it_is_the_users_turn():
    assert headline(learning((0.2, 0.9)), auto=False).next == "your turn: pause image, or go on."
    assert headline(learning((0.5, 0.55)), auto=False).next == "you decide."
    assert headline(paused((0.2, 0.9), "user")).next == "resume image when you like."


def test_who_leads_by_one_and_the_same_noise_in_both_orders():
    first, second = headline(learning((0.9, 0.2))), headline(learning((0.2, 0.9)))
    assert first.sentence.replace("Audio", "X").replace("image", "y") == second.sentence.replace("Image", "X").replace(
        "audio", "y"
    )


def test_the_noise_of_the_difference_decides_about_a_lead():
    gap = 2**0.5 * 0.1
    assert headline(learning((0.4, 0.4 + 0.98 * gap))).situation == "no leader"
    assert headline(learning((0.4, 0.4 + 1.02 * gap))).situation == "lead"


def test_a_lead_is_doubtful_exactly_where_the_probe_does_not_prove_it():
    few = {"n_samples": 240, "unique1_proven": True}
    assert headline(learning((0.2, 0.5), 1.5, **few, unique2_proven=True)).sure == "clear"
    assert headline(learning((0.2, 0.5), 1.5, **few, unique2_proven=False)).mark == "doubtful: 240 samples"


def test_held_out_probes_that_prove_nothing_say_so_without_shuffled_labels():
    record = learning((0.1, 0.0), 0.02, half=0.2, estimator="held-out")
    for row in record.rows:
        for key in [key for key in row if "_null_" in key]:
            del row[key]
    told = headline(record)
    assert told.situation == "nothing" and told.evidence == "None of it is proven."


@pytest.mark.parametrize("flag", [True, False])
def test_a_pause_shows_in_decisions_or_in_flags_alike(flag):
    record = learning((0.2, 0.9))
    if flag:
        record.rows[-1]["active.image"] = False
    else:
        decide(record, 3, "pause", "image")
    assert headline(record).situation == "paused"
    decide(record, 3, "resume", "image")
    record.rows[-2].pop("active.image", None)
    record.rows[-3].pop("active.image", None)
    assert headline(record).situation == "starves"


def test_six_modalities_are_ranked_by_all_that_they_know():
    names = ("fac", "fou", "kar", "mor", "pix", "zer")
    whole = dict(zip(names, (2.9, 2.2, 2.8, 1.8, 3.0, 2.2), strict=True))
    shared = {f"redundancy.{name}": value for name, value in whole.items()}
    record = learning((0.01,) * 6, 2.5, names=names, half=0.05, **shared)
    found = headline(record)
    assert found.sentence == "All six know mostly the same; mor knows least."
    assert "Mor knows 1.81 bits, pix 3.01" in found.evidence


def test_the_past_is_told_as_it_was_then():
    record = jointly()
    early = headline_of(record.lineage()[:1], record.metadata)
    assert early.situation == "early" and early.epoch == 0


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
@pytest.mark.parametrize("atom", ["redundancy", "unique1", "unique2"])
def test_what_is_not_a_number_is_never_written(atom, value):
    record = learning((0.2, 0.9))
    record.rows[-1][atom] = value
    said = str(headline(record))
    assert "nan" not in said.lower().replace("finance", "") and "inf " not in said
    assert headline(record).situation == "unreadable"


@pytest.mark.parametrize("missing", ["settings", "controller", "data", "class_names"])
def test_records_with_little_metadata_have_a_headline(missing):
    for name in SITUATIONS:
        record = SITUATIONS[name][0]()
        record.metadata.pop(missing)
        assert headline(record).sentence
