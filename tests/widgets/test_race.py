"""Two recipes side by side: the sentence, the readings, the controls."""

import json

import numpy as np
import pytest

import mmpid
from mmpid.errors import ConfigError, InputError
from mmpid.plots.story.race import race_headline
from mmpid.widgets import Race
from tests.widgets.hands import until

NAMES = ("joint", "two-stage")


def known(audio, image, n=400, spread=0.5, seed=0):
    draw = np.random.default_rng(seed)
    common = draw.normal(0, spread, n)  # samples that are hard are hard in both runs
    return {"audio": audio + common, "image": image + common}


@pytest.mark.parametrize(
    ("left", "right", "epoch", "sentence", "sure"),
    [
        ((0.5, 2.0), (1.5, 2.0), 9, "joint: audio starves.", "clear"),
        ((1.3, 2.0), (1.5, 2.0), 9, "joint: audio falls behind.", "clear"),
        ((1.5, 2.0), (1.5, 1.0), 9, "two-stage: image starves.", "clear"),
        ((1.5, 2.0), (1.5, 2.0), 9, "No clear difference between the two runs.", "noise"),
        ((0.5, 2.0), (1.5, 2.0), 1, "Too early to see a difference.", "early"),
    ],
)
def test_the_sentence_names_run_and_encoder(left, right, epoch, sentence, sure):
    found = race_headline(known(*left), known(*right), NAMES, epoch)
    assert (found.sentence, found.sure) == (sentence, sure)


def test_a_difference_within_the_noise_of_the_samples_is_none():
    left, right = known(1.5, 2.0, 40, 2.0, seed=0), known(1.6, 2.0, 40, 2.0, seed=1)
    assert race_headline(left, right, NAMES, 9).situation == "equal"


@pytest.fixture(scope="module")
def data():
    return mmpid.datasets.load("av-digits", seed=0)


def test_a_race_trains_both_with_one_budget_and_reads_every_epoch(data):
    race = Race(data, epochs=3, mode="live", device="cpu", unimodal_epochs=2)
    try:
        race.play()
        race.wait(timeout=120)
        until(lambda: race.view.now["state"] == "finished", 20)
        assert race.finished and race.epoch == 3
        assert [row["epoch"] for row in race.lanes[0].probes] == [0, 1, 2, 3]
        assert race.lanes[0].trainer.stage == race.lanes[1].trainer.stage == "joint"
        start = [lane.bits_at(0, "audio") for lane in race.lanes]
        assert np.array_equal(*start)  # the same data, the same seed
        assert [story["at"] for story in race.view.stories] == [0, 1, 2, 3]
        json.dumps([race.view.now, race.view.stories], allow_nan=False)
        assert race.picture().png(40).startswith(b"\x89PNG")
    finally:
        race.close()


def test_recipes_and_data_are_checked(data):
    with pytest.raises(ConfigError, match="`left`"):
        Race(data, left="slow", mode="static")
    split = data.split("train")
    inputs = {**split.inputs, "again": split.inputs["image"]}
    three = mmpid.MultimodalData.from_arrays(inputs, split.target, seed=0)
    with pytest.raises(InputError, match="must have two modalities"):
        Race(three, mode="static")
    with pytest.raises(InputError, match="`data`"):
        Race(3, mode="static")


def test_a_recipe_of_ones_own_has_its_name(data):
    own = {"name": "slow", "unimodal_epochs": 0, "lr": 0.001}
    race = Race(data, left=own, epochs=1, mode="static", device="cpu")
    assert race.names == ("slow", "two-stage") and race.lanes[0].trainer.config.lr == 0.001


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_race_of_lesson_one_shows_who_falls_behind_within_eight_epochs(seed):
    """Clear images explain the label; every seed of the lesson says it, none was chosen."""
    clear = mmpid.datasets.load("av-digits", seed=seed, image_noise=0)
    race = Race(clear, left="joint", right="two-stage", seed=seed, epochs=30, mode="static")
    said = []
    while race.epoch < 8:
        race._turn()
        said.append(race.headline)
    assert said[-1].situation in ("falls behind", "starves") and said[-1].sure == "clear"
    assert said[-1].sentence.startswith("joint: audio")
