"""The solver of the FastPID paper (arXiv 2509.20840), batched: Adam on logits, each step projected by Sinkhorn sweeps.

Kept as it was published, with its faults: ten sweeps leave the marginals violated once the logits have moved, and
the stopping rule compares probabilities with an absolute number, so that large tables stop after a few steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """Settings of the published method."""

    sinkhorn_sweeps: int = 10
    lr: float = 0.1
    max_iter: int = 2000
    stop: float = 1e-5


def project(logits: Tensor, p1: Tensor, p2: Tensor, sweeps: int) -> Tensor:
    """Softmax over all cells, then `sweeps` rounds of scaling to p1[b, x1, y] and p2[b, y, x2]."""
    q = torch.softmax(logits.flatten(1), 1).view_as(logits)
    tiny = torch.finfo(q.dtype).tiny
    for _ in range(sweeps):
        q = q * (p1 / q.sum(-1).clamp_min(tiny)).unsqueeze(-1)
        q = q * (p2 / q.sum(1).clamp_min(tiny)).unsqueeze(1)
    return q


def negative_conditional_entropy(q: Tensor) -> Tensor:
    """Return f(q) = -H(Y | X1, X2) in nats, as the paper's code would: logs of clamped ratios."""
    tiny = torch.finfo(q.dtype).tiny
    return (q * (q / q.sum(2, keepdim=True).clamp_min(tiny)).clamp_min(tiny).log()).sum((1, 2, 3))


class _Adam:
    """Adam with its usual constants; an element of the batch can be dropped."""

    def __init__(self, logits: Tensor, lr: float):
        self.logits, self.lr, self.n_steps = logits, lr, 0
        self.mean, self.square = torch.zeros_like(logits), torch.zeros_like(logits)

    def descend(self, grad: Tensor) -> None:
        """Take one step."""
        self.n_steps += 1
        self.mean.lerp_(grad, 0.1)
        self.square.lerp_(grad * grad, 0.001)
        mean = self.mean / (1 - 0.9**self.n_steps)
        square = self.square / (1 - 0.999**self.n_steps)
        self.logits = self.logits - self.lr * mean / (square.sqrt() + 1e-8)

    def keep(self, index: Tensor) -> None:
        """Keep the elements at `index`."""
        self.logits, self.mean, self.square = self.logits[index], self.mean[index], self.square[index]


@torch.inference_mode(False)  # within it there are no gradients to descend on
def solve(p1: Tensor, p2: Tensor, settings: Settings) -> tuple[Tensor, Tensor]:
    """Return q (b, n1, k, n2) as the paper's method leaves it, and the number of steps of each problem."""
    dtype = p1.dtype
    p1, p2 = p1.to(torch.float32), p2.to(torch.float32)
    independent = p1.unsqueeze(-1) * (p2 / p1.sum(1).clamp_min(torch.finfo(p1.dtype).tiny).unsqueeze(-1)).unsqueeze(1)
    adam = _Adam(independent.clamp_min(1e-30).log(), settings.lr)
    answer = independent.clone()
    n_iter = torch.zeros(len(p1), dtype=torch.int64, device=p1.device)
    active = torch.arange(len(p1), device=p1.device)
    before = independent
    for step in range(settings.max_iter):
        if not len(active):
            break
        with torch.enable_grad():
            logits = adam.logits.detach().requires_grad_()
            q = project(logits, p1, p2, settings.sinkhorn_sweeps)
            (grad,) = torch.autograd.grad(negative_conditional_entropy(q).sum(), logits)
        sound = q.detach().isfinite().flatten(1).all(1).view(-1, 1, 1, 1)
        q = torch.where(sound, q.detach(), before)  # single precision overflows at times: such a problem stops here
        answer[active], n_iter[active] = q, step + 1
        adam.descend(grad)
        moving = (q - before).abs().amax((1, 2, 3)) >= settings.stop
        # the first step compares with the start itself
        if step and not bool(moving.all()):
            adam.keep(moving)
            active, p1, p2, q = active[moving], p1[moving], p2[moving], q[moving]
        before = q
    return answer.to(dtype), n_iter
