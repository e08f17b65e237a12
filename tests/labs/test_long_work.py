import itertools

import pytest

from lwlab.labs.long_work import LongWork


def always():
    return True


def never():
    return False


def test_every_step_is_yielded_in_a_hurry_and_the_state_ends_finished():
    work = LongWork(lambda: iter([1, 2, 3]))
    assert (work.running, work.newest) == (True, None)
    assert list(work.pictures(always)) == [1, 2, 3]
    assert (work.state, work.newest) == ("finished", 3)
    assert list(work.pictures(always)) == []


def test_without_a_hurry_only_a_few_pictures_are_yielded_but_every_step_is_taken():
    taken = []

    def steps():
        for number in range(1000):
            taken.append(number)
            yield number

    work = LongWork(steps)
    assert len(list(work.pictures(never))) < 100  # 1,000 such steps take a few milliseconds
    assert taken == list(range(1000))
    assert work.newest == 999


def test_nothing_begins_before_the_first_picture_is_wanted():
    begun = []
    work = LongWork(lambda: begun.append(1) or iter([]))
    pictures = work.pictures(always)
    assert begun == []
    assert list(pictures) == []
    assert begun == [1]


def test_a_dropped_reader_leaves_the_rest_to_the_next_one():
    work = LongWork(lambda: iter(range(5)))
    first = work.pictures(always)
    assert [next(first), next(first)] == [0, 1]
    first.close()
    assert work.running
    assert list(work.pictures(always)) == [2, 3, 4]


def test_stop_ends_after_the_step_that_is_being_taken_and_go_on_takes_it_up_again():
    work = LongWork(itertools.count)
    seen = []
    for step in work.pictures(always):
        seen.append(step)
        if step == 3:
            work.stop()
    assert (seen, work.state, work.running) == ([0, 1, 2, 3], "stopped", False)
    assert list(work.pictures(always)) == []
    work.go_on()
    assert work.running
    assert next(work.pictures(always)) == 4


def test_stop_before_the_first_step_takes_none():
    work = LongWork(lambda: iter([1]))
    work.stop()
    assert list(work.pictures(always)) == []
    assert (work.state, work.newest) == ("stopped", None)


def test_a_step_that_fails_raises_in_the_reader_and_is_not_tried_again():
    def steps():
        yield 1
        raise RuntimeError("no more")

    work = LongWork(steps)
    pictures = work.pictures(always)
    assert next(pictures) == 1
    with pytest.raises(RuntimeError, match="no more"):
        next(pictures)
    assert (work.state, work.newest) == ("failed", 1)
    assert list(work.pictures(always)) == []
