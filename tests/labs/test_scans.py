import pytest

from lwlab.labs.scans import Scans


@pytest.fixture
def scans():
    return Scans(lambda key: iter([f"{key}{step}" for step in range(3)]))


def take(scans, key, count=None):
    """Take steps of a scan, each shown at once; stop after ``count``."""
    for number, _ in enumerate(scans.of(key).pictures(lambda: True), start=1):
        if number == count:
            break


def test_each_key_has_a_scan_of_its_own_and_keeps_it(scans):
    scans.start("a")
    scans.start("b")
    take(scans, "a")
    take(scans, "b", 1)
    assert (scans.newest("a"), scans.newest("b")) == ("a2", "b0")
    assert (scans.running("a"), scans.running("b")) == (False, True)


def test_what_was_not_started_is_nothing(scans):
    assert (scans.of("a"), scans.newest("a"), scans.running("a")) == (None, None, False)


def test_a_scan_that_was_stopped_goes_on_where_it_was(scans):
    scans.start("a")
    take(scans, "a", 1)
    scans.stop()
    take(scans, "a")
    assert (scans.running("a"), scans.newest("a")) == (False, "a0")
    scans.start("a")
    take(scans, "a", 1)
    assert scans.newest("a") == "a1"


def test_a_scan_that_failed_begins_anew():
    tries = []

    def scan(key):
        tries.append(key)
        if len(tries) == 1:
            raise ValueError("no")
        yield "done"

    scans = Scans(scan)
    scans.start("a")
    with pytest.raises(ValueError, match=r"^no$"):
        take(scans, "a")
    scans.start("a")
    take(scans, "a")
    assert (tries, scans.newest("a")) == (["a", "a"], "done")
