"""Who waits for a turn of events sleeps through progress."""

import threading
import time

from mmpid.live.notifier import Notifier


def test_progress_wakes_who_waits_for_a_change_and_nobody_else():
    news, woken = Notifier(), []
    waits = {
        "change": threading.Thread(target=lambda: woken.append(("change", news.wait_for_change(0, 20)))),
        "turn": threading.Thread(target=lambda: woken.append(("turn", news.wait_for_transition(0, 20)))),
    }
    for thread in waits.values():
        thread.start()
    for _ in range(100):
        news.notify(progress=True)
    waits["change"].join(10)
    time.sleep(0.05)
    assert [name for name, _ in woken] == ["change"] and waits["turn"].is_alive()
    news.notify()
    waits["turn"].join(10)
    assert woken[1] == ("turn", 1) and news.version == 101


def test_a_turn_that_is_over_is_not_waited_for():
    news = Notifier()
    news.notify()
    assert news.wait_for_transition(0, 20) == 1
    assert news.wait_for_transition(1, 0.01) == 1  # the timeout
