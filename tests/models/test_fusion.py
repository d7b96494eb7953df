import copy

import pytest
import torch

from mmpid import LateFusion, datasets
from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.models.fusion import KINDS

DIMS = (3, 5, 2, 4, 3, 6)


def net(fusion, n=2, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoders = {f"m{i}": torch.nn.Linear(4 + i, d) for i, d in enumerate(DIMS[:n])}
        return LateFusion(encoders, n_classes=3, fusion=fusion)


def batch(n=2, size=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {f"m{i}": torch.randn(size, 4 + i, generator=generator) for i in range(n)}


def average(out):
    return torch.stack(list(out.unimodal.values())).mean(0)


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("fusion", KINDS)
def test_joint_logits_start_as_the_average_of_the_unimodal_logits(fusion, n):
    model = net(fusion, n)
    assert not torch.allclose(model(batch(n)).logits, average(model(batch(n))), atol=1e-2)
    model.start_joint_from_heads()
    out = model(batch(n))
    assert torch.allclose(out.logits, average(out), atol=1e-6)


@pytest.mark.parametrize("fusion", KINDS)
def test_starting_again_after_training_forgets_the_correction(fusion):
    model = train(net(fusion), steps=20)
    model.start_joint_from_heads()
    out = model(batch())
    assert torch.allclose(out.logits, average(out), atol=1e-6)


def train(model, steps, size=64):
    """Fit the exclusive or of two signs, which no linear head can."""
    x = batch(size=size)
    target = ((x["m0"][:, 0] > 0) ^ (x["m1"][:, 0] > 0)).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model(x).logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.xor_accuracy = float((model(x).logits.argmax(1) == target).float().mean())
    return model


@pytest.mark.parametrize(("fusion", "learns"), [(name, name not in ("concat", "sum")) for name in KINDS])
@pytest.mark.parametrize("from_heads", [True, False])
def test_a_corrected_fusion_learns_an_interaction_from_either_start(fusion, learns, from_heads):
    model = net(fusion)
    if from_heads:
        model.start_joint_from_heads()
    accuracy = train(model, steps=300).xor_accuracy
    assert accuracy > 0.85 if learns else accuracy < 0.8


@pytest.mark.parametrize("fusion", KINDS)
def test_every_parameter_of_a_fresh_joint_head_gets_a_gradient(fusion):
    model = net(fusion, 3)
    model(batch(3)).logits.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.fusion.parameters())


@pytest.mark.parametrize("fusion", KINDS)
def test_the_seed_fixes_the_joint_head_and_its_description_rebuilds_it(fusion):
    data = datasets.load("av-digits")
    one = LateFusion.from_data(data, fusion=fusion, seed=3)
    two = LateFusion.from_data(data, **one.spec)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert one.spec["fusion"] == one.fusion_name == fusion


@pytest.mark.parametrize("fusion", KINDS)
def test_half_precision_is_near_single_precision(fusion):
    model = net(fusion, 3)
    exact = model(batch(3)).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(batch(3)).logits
    assert torch.allclose(exact, mixed.float(), atol=0.1)
    low = copy.deepcopy(model).to(torch.bfloat16)
    assert low({name: x.to(torch.bfloat16) for name, x in batch(3).items()}).logits.dtype == torch.bfloat16


@pytest.mark.parametrize("fusion", KINDS)
def test_many_models_can_be_stacked(fusion):
    """Functions of stacked parameters are how several seeds train at once."""
    models = [net(fusion, seed=s) for s in range(3)]
    parameters, buffers = torch.func.stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")

    def logits(p, b, x):
        return torch.func.functional_call(base, (p, b), (x,)).logits

    stacked = torch.func.vmap(logits, in_dims=(0, 0, None))(parameters, buffers, batch())
    assert torch.allclose(stacked, torch.stack([m(batch()).logits for m in models]), atol=1e-5)


# ---- the unimodal scorer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", KINDS)
def test_the_head_scores_what_the_forward_pass_scores(fusion):
    model, x = net(fusion, 3), batch(3)
    for scores in (model.score(x), model.score(embeddings=model.embed(x), how="head")):
        assert all(torch.equal(scores[name], z) for name, z in model(x).unimodal.items())


@pytest.mark.parametrize("fusion", ["concat", "sum"])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_shares_add_up_to_the_joint_logits(fusion, n):
    model, x = net(fusion, n), batch(n)
    assert torch.allclose(sum(model.score(x, how="split").values()), model(x).logits, atol=1e-5)


@pytest.mark.parametrize("how", ["split", "ablation"])
def test_a_share_is_a_part_of_the_head_when_the_joint_starts_from_the_heads(how):
    model, x = net("sum", 3), batch(3)
    model.start_joint_from_heads()
    bias = sum(head.bias for head in model.heads.values()) / 3
    for name, head in model.heads.items():
        alone = model.score(x, how=how)[name]
        offset = head.bias / 3 if how == "split" else bias
        assert torch.allclose(alone, (head(model.embed(x)[name]) - head.bias) / 3 + offset, atol=1e-6)


@pytest.mark.parametrize("fusion", KINDS)
def test_ablation_is_the_joint_head_on_one_modality_and_the_means_of_the_others(fusion):
    model, x = net(fusion, 3), batch(3)
    z = model.embed(x)
    means = {name: value.mean(0) for name, value in z.items()}
    scores = model.score(x, how="ablation", means=means)
    expected = model.fuse({"m0": z["m0"], "m1": means["m1"].expand(5, -1), "m2": means["m2"].expand(5, -1)})
    assert torch.allclose(scores["m0"], expected, atol=1e-6)
    zero = model.fuse({"m0": torch.zeros(5, 3), "m1": z["m1"], "m2": torch.zeros(5, 2)})
    assert torch.allclose(model.score(embeddings=z, how="ablation")["m1"], zero, atol=1e-6)


def test_ablation_does_not_see_the_other_modality():
    model, x = net("gated"), batch()
    means = {name: torch.ones(d) for name, d in model.dims.items()}
    before = model.score(x, how="ablation", means=means)["m0"]
    x["m1"] = x["m1"] + 1
    assert torch.equal(model.score(x, how="ablation", means=means)["m0"], before)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, x: m.score(x, how="splt"), ConfigError, "Did you mean 'split'"),
        (lambda m, x: m.score(x, how="split"), ConfigError, "'film' is not a sum.*how='ablation'"),
        (lambda m, x: m.score(), InputError, "give `inputs` or `embeddings`"),
        (lambda m, x: m.score(x, embeddings=x), InputError, "one of the two"),
        (lambda m, x: m.score({"m0": x["m0"]}), InputError, "m1 is missing"),
        (lambda m, x: m.score(embeddings={"m0": x["m0"]}), InputError, "m1 is missing"),
        (lambda m, x: m.score(x, means={}), ConfigError, "belong to how='ablation'"),
        (lambda m, x: m.score(x, how="ablation", means={"m0": torch.zeros(3)}), InputError, "'m1' is missing"),
        (
            lambda m, x: m.score(x, how="ablation", means={"m0": torch.zeros(5, 3), "m1": torch.zeros(5)}),
            ShapeError,
            r"shape \(3,\); it was \(5, 3\).*axis 0",
        ),
    ],
)
def test_scores_that_cannot_be_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(net("film"), batch())


def test_an_unknown_fusion_suggests_one():
    with pytest.raises(ConfigError, match="'attention'; it was 'atention'. Did you mean 'attention'"):
        net("atention")
