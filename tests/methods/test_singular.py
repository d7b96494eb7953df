"""What the methods do where their formulas break down."""

import pytest
import torch

from mmpid import Trainer
from mmpid.methods.greedy import SpeedDifference
from mmpid.methods.inforeg import growth, pulls
from mmpid.methods.lfm import LFM, alignment, fitted_share
from mmpid.methods.relearning import purity
from mmpid.methods.synib import corrupt
from tests.methods.close import same
from tests.small_runs import weights


def test_the_fitted_share_stays_a_share_and_its_fit_is_not_used_beyond_its_epochs():
    shares = [fitted_share(epoch) for epoch in range(400)]
    assert all(0 <= share <= 1 for share in shares) and not any(shares[183:])


def test_alignment_is_finite_where_a_probability_underflows():
    far = [torch.tensor([[0.0, -2000.0]]), torch.tensor([[-2000.0, 0.0]])]
    assert 0.69 < float(alignment(far, "paper")) < 0.70 and alignment(far, "released").isfinite()


def test_purity_survives_embeddings_that_do_not_move():
    y = torch.tensor([0, 0, 0, 1])
    same(purity(torch.ones(4, 3), y, 2), 0.75)
    same(purity(torch.eye(4)[:, :1], torch.tensor([1, 0, 0, 0]), 4), 1.0)


def test_corruption_replaces_the_share_that_it_says_and_keeps_what_each_entry_can_be():
    x = torch.arange(4000.0).view(400, 10)
    mixed = corrupt(x, 0.5, torch.Generator().manual_seed(0))
    assert 0.45 < float((mixed != x).float().mean()) < 0.55
    assert torch.equal((mixed % 10), x % 10), "an entry comes from the same place of another sample"
    assert torch.equal(corrupt(x, 0.0, torch.Generator()), x)


@pytest.mark.parametrize("lfm", [lambda: LFM("learned", lr=300.0, fused="joint"), LFM])
def test_the_share_of_lfm_moves_and_goes_on_bit_for_bit(make_trainer, small_data, tmp_path, lfm):
    whole, first = (make_trainer(unimodal_epochs=1, epochs=4, callbacks=[lfm()], stage2="off") for _ in range(2))
    first.step(batches=10)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))
    shares = [row["log.LFM.share"] for row in whole.record.lineage("epoch", stage="joint")]
    assert len(set(shares)) == 3 and min(shares) >= 0.05 and max(shares) <= 0.95


def test_growth_and_pulls_of_encoders_that_do_not_learn_or_tie():
    assert growth([0.0] * 12) == 0 and growth([1.0] + [0.0] * 10) == 0
    assert pulls([2.0, 2.0, 1.0], [1.0] * 3) == [0.0] * 3


def test_nobody_is_curated_while_a_part_does_not_learn_at_all():
    speed = SpeedDifference(3, threshold=0.0, window=2)
    speed.update([1.0, 0.0, 1.0], [9.0, 1.0, 1.0], may_curate=True)
    assert speed.left == 0 and speed.difference == 0
    speed.update([0.0, 1.0, 0.0], [0.0, 0.0, 0.0], may_curate=True)
    assert speed.left == 2 and speed.curated == 0
