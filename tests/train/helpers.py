import torch


def weights(trainer) -> torch.Tensor:
    """Return all weights of a trainer's model as one vector."""
    return torch.cat([p.detach().flatten() for p in trainer.model.state_dict().values()])
