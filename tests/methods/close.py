"""What counts as the same number here."""

import torch


def same(found, expected):
    """Fail unless the numbers agree to 1e-8, in float64."""
    found, expected = (torch.as_tensor(x, dtype=torch.float64) for x in (found, expected))
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)
