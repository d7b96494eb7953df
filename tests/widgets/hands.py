"""What a test does to a board: say what the page would say, read what it is sent, and wait for a condition."""

import time


def until(condition, seconds=10.0):
    """Wait for a condition; it must come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def say(board, do, **more):
    """Tell the board what a click in the page tells it."""
    board._board.view._handle_custom_msg({"do": do, **more}, [])


def settle(board):
    """Let the sessions obey and the publisher show it."""
    own = board._board
    until(
        lambda: (
            not own.runs.pace.active
            and not any(run.session.busy for run in own.runs.all)
            and own.publisher.shown == own.runs.version
        )
    )


def done(board, do, **more):
    """Say something and wait until it has been obeyed and shown."""
    say(board, do, **more)
    settle(board)


def now(board):
    """What the page knows of the present."""
    return board._board.view.now


def message(board):
    """The words in the foot, with the code to copy."""
    said = now(board)["message"]
    return f"{said['words']} {said['code']}".strip()


def chart(board, name, which=0):
    """A chart as the page gets it, its numbers as arrays."""
    import numpy as np

    block = getattr(board._board.view, name)
    numbers = np.frombuffer(block["numbers"], np.float32)

    def opened(part):
        pairs = {k: v for k, v in part.items() if k in ("x", "y", "low", "high") and isinstance(v, list)}
        return part | {k: numbers[a : a + n] for k, (a, n) in pairs.items()}

    found = block["charts"][which]
    return found | {
        "areas": {area["key"]: opened(area) for area in found["areas"]},
        "traces": {trace["key"]: opened(trace) for trace in found["traces"]},
        "ghosts": {trace["key"]: opened(trace) for trace in found.get("ghosts", [])},
        "others": {
            run["name"]: {trace["key"]: opened(trace) for trace in run["traces"]} for run in found.get("others", [])
        },
    }
