"""ResNet-18 from scratch, for images or spectrograms with any number of channels and for short clips."""

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.errors import ShapeError

SMALL = 64  # pixels; up to this side the stem keeps the resolution


class ResNet18(nn.Module):
    """Residual network of eight basic blocks, with random weights: images to 512 features.

    Parameters
    ----------
    shape : tuple of int
        One sample: (H, W) without channels, (C, H, W) with any number of channels (1 spectrogram, 2 optical flow,
        3 RGB), or (T, C, H, W), frames whose features are averaged.
    stem : {"auto", "large", "small"}
        First layers. "large" is the original, a 7 x 7 convolution and pooling that reduce the image by 4; "small" a
        3 x 3 convolution that keeps it. "auto" takes "small" if a side is at most 64 pixels.
    width : int
        Channels of the first stage; the embedding has 8 times as many.

    Notes
    -----
    Stages stop halving the image when a side is down to 2, so that normalization in training has values to average
    also in a batch of one. Convolutions start as in He et al. (2015), normal with fan-out.

    References
    ----------
    He et al. (2016), Deep residual learning for image recognition, CVPR, table 1 (18 layers).

    Examples
    --------
    >>> import torch
    >>> net = ResNet18((2, 32, 32), width=8)
    >>> net(torch.zeros(5, 2, 32, 32)).shape, net.dim
    (torch.Size([5, 64]), 64)
    """

    def __init__(self, shape: tuple[int, ...], *, stem: str = "auto", width: int = 64):
        super().__init__()
        if len(shape) not in (2, 3, 4) or min(shape[-2:]) < 2:
            raise ShapeError(
                f"`shape` of a ResNet18 must be (H, W), (C, H, W) or (T, C, H, W) with sides of at least 2; it was "
                f"{tuple(shape)}. Use an MLP, or encoder='cnn1d' for signals."
            )
        _validate.choice(stem, "stem", ("auto", "large", "small"))
        width = _validate.number(width, "width", low=1, integer=True)
        self.shape, self.dim = tuple(shape), 8 * width
        side = min(shape[-2:])
        large = stem == "large" or (stem == "auto" and side > SMALL)
        self.stem = _stem(shape[-3] if len(shape) > 2 else 1, width, large)
        side = -(-side // 4) if large else side
        stages = []
        for i in range(4):
            halve = i > 0 and side > 2
            side = -(-side // 2) if halve else side
            channels = width * 2**i
            stages.append(BasicBlock(channels // 2 if i else width, channels, 2 if halve else 1))
            stages.append(BasicBlock(channels, channels))
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, dim) of samples (B, ...) of the given shape."""
        frames = x.shape[1] if len(self.shape) == 4 else 1
        images = x.flatten(0, 1) if len(self.shape) == 4 else x.unsqueeze(1) if len(self.shape) == 2 else x
        features = self.stages(self.stem(images)).mean((-2, -1))
        return features.unflatten(0, (-1, frames)).mean(1) if frames > 1 else features


def _stem(channels: int, width: int, large: bool) -> nn.Sequential:
    """Return the first layers: 7 x 7 with pooling, or 3 x 3 at full resolution."""
    if large:
        first = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        return nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
    first = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    return nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU())


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut: ``relu(x' + bn(conv(relu(bn(conv(x))))))``."""

    def __init__(self, channels: int, width: int, stride: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        same = channels == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same or half the resolution."""
        return torch.relu(self.shortcut(x) + self.body(x))
