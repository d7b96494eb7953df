import pytest
import torch

from mmpid import LateFusion, datasets
from mmpid.errors import ConfigError, ShapeError
from mmpid.models import ResNet18


@pytest.mark.parametrize(
    "shape", [(14, 14), (1, 14, 14), (2, 33, 20), (3, 65, 80), (5, 8, 8), (2, 2), (4, 3, 16, 16)], ids=str
)
def test_any_number_of_channels_gives_one_embedding(shape):
    net = ResNet18(shape, width=4)
    assert net(torch.randn(3, *shape)).shape == (3, net.dim) == (3, 32)


@pytest.mark.parametrize("shape", [(2, 2), (8, 8), (3, 14, 14), (65, 65)], ids=str)
def test_a_batch_of_one_can_be_trained_on(shape):
    assert torch.isfinite(ResNet18(shape, width=4).train()(torch.randn(1, *shape))).all()


def test_the_full_network_is_the_published_one():
    """Eleven million parameters, as in table 1 of the paper without its classifier."""
    net = ResNet18((3, 224, 224), stem="large")
    assert sum(p.numel() for p in net.parameters()) == 11_689_512 - 513_000
    assert sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) == 20
    assert net.dim == 512


def test_the_stem_follows_the_size_unless_it_is_given():
    def first(shape, **own):
        return ResNet18(shape, width=4, **own).stem[0].kernel_size[0]

    assert (first((64, 80)), first((65, 80)), first((32, 32), stem="large"), first((99, 99), stem="small")) == (
        3,
        7,
        7,
        3,
    )


def test_frames_are_averaged():
    net = ResNet18((4, 3, 16, 16), width=4).eval()
    clip = torch.randn(2, 4, 3, 16, 16)
    assert torch.allclose(net(clip), net(clip[:, [2, 0, 3, 1]]), atol=1e-6)
    still = clip[:, :1].expand(-1, 4, -1, -1, -1)
    single = ResNet18((3, 16, 16), width=4).eval()
    single.load_state_dict(net.state_dict())
    assert torch.allclose(net(still), single(clip[:, 0]), atol=1e-5)


def test_it_is_an_encoder_by_name_and_learns():
    data = datasets.load("av-digits", seed=0, image_noise=0)
    model = LateFusion.from_data(data, encoder={"audio": "mlp", "image": "resnet18"}, seed=0)
    assert model.dims == {"audio": 32, "image": 512}
    net = torch.nn.Sequential(ResNet18((8, 8), width=4), torch.nn.Linear(32, 10)).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    train = data.split("train")
    losses = []
    for _ in range(2):
        for x, y in train.batches(torch.randperm(1000, generator=torch.Generator().manual_seed(0)).split(100)):
            loss = torch.nn.functional.cross_entropy(net(x["image"]), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: ResNet18((50,)), ShapeError, r"\(H, W\), \(C, H, W\).*it was \(50,\)"),
        (lambda: ResNet18((3, 1, 9)), ShapeError, "sides of at least 2"),
        (lambda: ResNet18((9, 9), stem="tiny"), ConfigError, "`stem` must be one of"),
        (lambda: ResNet18((9, 9), width=0), ConfigError, "`width`"),
    ],
)
def test_bad_shapes_are_refused(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_half_precision():
    net, x = ResNet18((3, 16, 16), width=4).eval(), torch.randn(2, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(net(x).float(), net(x.clone()).float(), atol=1e-3)
    assert net.to(torch.bfloat16)(x.to(torch.bfloat16)).dtype == torch.bfloat16
