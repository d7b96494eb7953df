"""Progress bars for what takes longer than two seconds; silent where nobody would see them."""

import os
import sys
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int, *, initial: int = 0, unit: str = "it", show: bool = True):
    """Yield a tqdm bar: a widget in a live notebook, text in a terminal, none when output goes to a file.

    A notebook that runs headless gets no bar: a saved progress widget would be noise in its outputs.
    """
    from tqdm import tqdm
    from tqdm.auto import tqdm as tqdm_auto

    live = "JPY_SESSION_NAME" in os.environ and "MMPID_HEADLESS" not in os.environ
    visible = show and (live or sys.stderr.isatty())
    kind = tqdm_auto if live else tqdm
    with kind(total=total, initial=initial, unit=unit, disable=not visible, delay=1, leave=False) as bar:
        yield bar
