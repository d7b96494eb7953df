"""Laws of the methods, and what they do where their formulas are singular."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from mmpid import LateFusion, Trainer, methods
from mmpid.methods.agm import coefficients, scaled, shapley
from mmpid.methods.cggm import gain_factors
from mmpid.methods.g_blending import blend, shares
from mmpid.methods.mmcosine import cosine_logits
from mmpid.methods.modality_dropout import keep_mask
from mmpid.methods.opm import drop, drop_rates
from mmpid.methods.pmr import prototypes, similarities
from tests.small_runs import QUICK, weights

NEUTRAL = {
    "auxiliary losses of the usual weight": lambda: methods.AuxiliaryLosses(0.6),
    "no dropout": lambda: methods.ModalityDropout(0.0),
    "rates as they are": lambda: methods.MSLR(1.0, strategy="keep"),
    "nothing to drop": lambda: methods.OPM(base=0.0, warmup=0),
    "no pull": lambda: methods.PMR(alpha=0.0, mu=0.0),
    "unscaled": lambda: methods.AGM(alpha=0.0, absent="features"),
}


@pytest.fixture
def run(small_data):
    """Return a function that trains two epochs jointly."""

    def make(*callbacks, **settings):
        settings = {"epochs": 2, "unimodal_epochs": 0, "stage2": "off", "batch_size": 60, **QUICK, **settings}
        trainer = Trainer(LateFusion.from_data(small_data, seed=0), small_data, callbacks=callbacks, **settings)
        trainer.fit(progress=False)
        return trainer

    return make


@pytest.mark.parametrize("method", NEUTRAL.values(), ids=list(NEUTRAL))
def test_a_neutral_setting_trains_as_if_the_method_were_not_there(run, method):
    torch.testing.assert_close(weights(run(method())), weights(run()), atol=1e-6, rtol=1e-5)


def test_a_factor_of_mslr_is_a_learning_rate_and_leaves_the_schedule_alone(run):
    slow = run(methods.MSLR([0.5, 1.0], strategy="keep"), scheduler="cosine", optimizer="adamw")
    plain = run(scheduler="cosine", optimizer="adamw")
    assert slow._run.engine.learning_rates == plain._run.engine.learning_rates
    by_hand = Trainer(LateFusion.from_data(plain.data, seed=0), plain.data, **plain.config.values(), device="cpu")
    by_hand._run.engine.set_learning_rate(by_hand.config.lr / 2, ["a"])
    for group in by_hand._run.engine.optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    by_hand._run.engine.scheduler.base_lrs = [g["lr"] for g in by_hand._run.engine.optimizer.param_groups]
    by_hand.fit(progress=False)
    torch.testing.assert_close(weights(slow), weights(by_hand), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(weights(slow), weights(plain), atol=1e-6)


@pytest.mark.parametrize("m", [2, 4, 6])
def test_shapley_values_share_out_the_whole_and_find_the_parts_of_a_sum(m):
    names, rng = "abcdef"[:m], torch.Generator().manual_seed(m)
    own = {name: torch.randn(3, generator=rng) for name in names}

    def total(present):
        return sum((own[name] for name in present), torch.zeros(3))

    for name, phi in shapley(total, names).items():
        torch.testing.assert_close(phi, own[name])
    phi = shapley(lambda present: total(present).exp(), names)
    torch.testing.assert_close(sum(phi.values()), total(names).exp())


def test_agm_slows_who_leads_scales_only_gradients_and_stays_finite():
    ahead, behind = coefficients([0.2, 1.0], [0.0, 0.0], alpha=1.0, cap=10.0)
    assert ahead < 1 < behind
    assert all(0 <= k < float("inf") for k in coefficients([0.0, 18.0, 18.0], [18.0, 0.0, 9.0], alpha=99.0, cap=99.0))
    z, y = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 0])
    phi = {"a": z * 2, "b": torch.ones(4, 3)}
    loss = cross_entropy(scaled(phi, [7.0, 1.0]), y)
    (plain,) = torch.autograd.grad(cross_entropy(2 * z + 1, y), z)
    torch.testing.assert_close(torch.autograd.grad(loss, z)[0], 7 * plain)


@pytest.mark.parametrize("gains", [[0.1, -0.1], [0.0, 0.0], [-0.2, -0.1], [0.3, -0.1, -0.2], [1.0] * 6])
def test_factors_of_cggm_add_up_and_can_be_bounded(gains):
    assert all(0 <= factor <= len(gains) for factor in gain_factors(gains))
    if abs(sum(gains)) > 1e-6:
        assert abs(sum(gain_factors(gains, bounded=False)) - len(gains) + 1) < 1e-6  # the 1e-8 in their divisor


def test_blending_gives_nothing_to_a_head_that_gets_worse_and_survives_one_that_does_not_overfit():
    worse, calm = blend((1.0, 1.0), (0.5, 1.4)), blend((1.0, 1.0), (0.5, 0.5))
    assert worse < 0 < calm < float("inf")
    assert shares([worse, calm, calm]) == [0.0, 0.5, 0.5] and shares([worse, worse]) == [0.5, 0.5]
    assert shares([float("nan"), float("inf"), calm]) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("rule", ["pairs", "others"])
@pytest.mark.parametrize("m", [2, 3, 6])
def test_opm_never_drops_the_weakest_and_drops_only_who_is_ahead(m, rule):
    scores = (torch.rand(m, generator=torch.Generator().manual_seed(m)) * 9).tolist()
    for some in (scores, [0.0, *scores[1:]], [0.0] * m):
        rates = drop_rates(some, base=1.0, slope=1.0, rule=rule)
        assert rates[some.index(min(some))] == 0 and all(0 <= q <= 1 for q in rates)
    features = {str(i): torch.ones(5, 2, 3) for i in range(m)}
    kept, theta = drop(features, [1.0] * m, torch.zeros(m, 5))
    assert theta < 1 and all(x.isfinite().all() for x in kept.values())


def test_prototypes_survive_classes_that_are_absent_and_samples_that_are_one():
    z, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0, 0])
    first = prototypes(z, y, 3)
    assert first[0].tolist() == [2.0, 3.0] and first[1:].isinf().all()
    later = prototypes(z + 1, torch.tensor([0, 1]), 3, first, momentum=0.5)
    assert later[0].tolist() == [2.0, 3.0] and later[1].tolist() == [4.0, 5.0] and later[2].isinf().all()
    at = first[:1].clone().requires_grad_()
    near = similarities(at, later)
    cross_entropy(near, torch.tensor([0])).backward()
    assert near[0, 2] == -torch.inf and at.grad.isfinite().all()


def test_cosine_logits_ignore_lengths_and_survive_zeros():
    z, w = torch.randn(4, 3), torch.randn(2, 3)
    torch.testing.assert_close(cosine_logits({"a": 9 * z}, {"a": w / 9}, 5.0), cosine_logits({"a": z}, {"a": w}, 5.0))
    zero = torch.zeros(4, 3, requires_grad=True)
    logits = cosine_logits({"a": zero}, {"a": torch.cat([w, torch.zeros(1, 3)])}, 5.0)["a"]
    cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    assert not logits.any() and zero.grad.isfinite().all()


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_dropout_leaves_a_modality_that_is_there(p):
    rng = torch.Generator().manual_seed(0)
    seen = torch.rand(2000, 3, generator=rng) > 0.5
    keep = keep_mask(torch.rand(2000, 3, generator=rng), torch.full((3,), p), seen)
    assert not (keep & ~seen).any() and torch.equal(keep.any(1), seen.any(1))
    if p == 0:
        assert torch.equal(keep, seen)


def test_mmcosine_judges_training_and_evaluation_by_the_logits_that_it_trains(run):
    paper, released = run(methods.MMCosine()), run(methods.MMCosine(variant="released"))
    assert torch.equal(weights(paper), weights(released))
    a, b = (trainer.record.lineage("epoch")[-1] for trainer in (paper, released))
    assert a["loss.joint"] == b["loss.joint"] and a["train_accuracy.joint"] != b["train_accuracy.joint"]
    assert abs(a["validation_loss.joint"] - a["loss.joint"]) < 0.5


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: methods.ModalityDropout(1.5), "p"),
        (lambda: methods.AuxiliaryLosses("much"), "weight"),
        (lambda: methods.AuxiliaryLosses([1.0, -1.0]), r"weight\[1\]"),
        (lambda: methods.MSLR(strategy="smooth"), "strategy"),
        (lambda: methods.OPM(how="probe"), "how"),
        (lambda: methods.GBlending(every=0), "every"),
        (lambda: methods.PMR(share=0.0), "share"),
        (lambda: methods.AGM(absent="nothing"), "absent"),
        (lambda: methods.CGGM(variant="safe"), "variant"),
        (lambda: methods.MMCosine(0.0), "scale"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_its_name(make, names):
    with pytest.raises(ValueError, match=f"`{names}` must be"):
        make()
