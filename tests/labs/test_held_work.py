"""Pause holds between two steps, Go on takes up where it was, Stop is for good."""

from __future__ import annotations

import pytest

from lwlab.labs.held_work import HeldWork


class Counting(HeldWork):
    """Counts to five; ``at`` says what happens after which number."""

    def __init__(self, at=None):
        super().__init__()
        self.counted, self._at = [], at or {}

    def _steps(self):
        for number in range(1, 6):
            self.counted.append(number)
            self._at.get(number, lambda: None)()
            yield number


def take(work):
    """Take what steps there are; hurry, so that each one is a picture."""
    return sum(1 for _ in work.pictures(lambda: True))


def test_it_runs_to_its_end():
    work = Counting()
    assert (work.state, work.active) == ("running", True)
    assert take(work) == 5
    assert (work.state, work.active, work.error) == ("finished", False, None)


def test_held_work_goes_on_where_it_was():
    work = Counting()
    work._at[2] = work.pause
    take(work)
    assert (work.counted, work.state, work.active) == ([1, 2], "paused", True)
    assert take(work) == 0  # held
    work.go_on()
    assert work.state == "running"
    take(work)
    assert (work.counted, work.state) == ([1, 2, 3, 4, 5], "finished")


def test_stopped_work_is_over_whatever_is_pressed_then():
    work = Counting()
    work._at[3] = work.stop
    take(work)
    work.go_on()
    work.pause()
    assert take(work) == 0
    assert (work.counted, work.state, work.active) == ([1, 2, 3], "stopped", False)


def test_what_ends_it_is_kept_and_raised():
    def fail():
        raise ValueError("two is wrong.")

    work = Counting({2: fail})
    with pytest.raises(ValueError, match=r"^two is wrong\.$"):
        take(work)
    assert (work.state, str(work.error)) == ("failed", "two is wrong.")


def test_an_interrupt_of_the_keyboard_is_a_stop_and_no_fault():
    def interrupt():
        raise KeyboardInterrupt

    work = Counting({2: interrupt})
    with pytest.raises(KeyboardInterrupt):
        take(work)
    assert work.error is None
    work.stop()
    assert work.state == "stopped"
