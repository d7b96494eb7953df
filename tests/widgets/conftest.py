"""A live board without a browser, and nothing left of it afterward."""

import threading

import pytest

from mmpid.live.registry import sessions
from mmpid.widgets import Dashboard
from tests.widgets.fake_trainer import FakeTrainer
from tests.widgets.hands import until


@pytest.fixture
def no_thread_is_left():
    yield
    for session in sessions():
        session.close()
    until(lambda: not any(t.name.startswith("mmpid-") for t in threading.enumerate()))


@pytest.fixture
def live(no_thread_is_left):
    boards = []

    def make(**settings):
        board = Dashboard(FakeTrainer(**settings), mode="live")
        boards.append(board)
        return board

    yield make
    for board in boards:
        board.close()
