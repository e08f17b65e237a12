import pytest

from lwlab import units


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (37_119, "37.1 kB"),
        (830_833, "831 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (1_724_320, "1.72 MB"),
        (5_120_000_000, "5.12 GB"),
    ],
)
def test_bytes_are_decimal_with_three_figures(size, text):
    assert units.format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
     (185, "3 min 05 s"), (3_720, "1 h 02 min")],
)  # fmt: skip
def test_durations_read_as_a_clock_would(seconds, text):
    assert units.format_duration(seconds) == text


def test_fractions_become_percentages():
    assert units.format_percent(0.9557) == "95.6 %"
    assert units.format_percent(0.95575, 2) == "95.58 %"
    assert units.format_interval(0.93, 0.974) == "93.0-97.4 %"
    assert units.format_points(-0.0134) == "-1.3 points"
    assert units.format_points(0.002) == "+0.2 points"


def test_ratios_counts_and_milliseconds():
    assert [units.format_ratio(r) for r in (1.234, 12.04, 555.1)] == ["1.23x", "12.0x", "555x"]
    assert units.format_count(431_080) == "431,080"
    texts = [units.format_milliseconds(ms) for ms in (0.1534, 1.5, 1234.4)]
    assert texts == ["0.153 ms", "1.50 ms", "1,234 ms"]
