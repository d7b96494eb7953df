"""What a test does to a board: press, read, and wait for a condition rather than for some time."""

import time


def until(condition, seconds=10.0):
    """Wait for a condition; it must come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def button(board, name):
    own = board._board
    controls, keep = own.controls, own.keep
    buttons = [*controls.transport, *controls.modalities.values(), controls.joint, controls.back, controls.branch]
    return next(b for b in [*buttons, keep.save, keep.report] if b.description == name)


def press(board, name):
    button(board, name).click()


def settle(board):
    """Let the sessions obey and the publisher show it."""
    own = board._board
    until(lambda: not any(run.session.busy for run in own.runs.all) and own.publisher.shown == own.runs.version)


def status(board):
    return board._board._status.value
