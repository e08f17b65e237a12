import math
import re
import statistics

import pytest
from scipy import stats

from lwlab.prune.comparing import ComparisonRow
from lwlab.prune.comparison_table import read_rows, summarize, write_rows


def rows_of(criterion, recovered, sparsity=0.5):
    return [
        ComparisonRow(criterion, sparsity, seed, value / 2, value)
        for seed, value in enumerate(recovered)
    ]


RANDOM = rows_of("random", [0.80, 0.90, 0.85])
BETTER = rows_of("norm", [0.84, 0.93, 0.90])


def test_means_spread_and_paired_difference_of_a_worked_case():
    random, norm = summarize([*RANDOM, *BETTER]).summaries
    assert (random.criterion, random.seeds, random.sparsity) == ("random", 3, 0.5)
    assert random.recovered == pytest.approx(0.85)
    assert random.as_cut == pytest.approx(0.425)
    assert random.spread == pytest.approx(0.05)
    assert norm.difference == pytest.approx(0.04)  # 0.04, 0.03, 0.05


def test_the_interval_is_that_of_scipys_paired_t_test():
    _, norm = summarize([*RANDOM, *BETTER]).summaries
    gaps = ([r.recovered for r in BETTER], [r.recovered for r in RANDOM])
    low, high = stats.ttest_rel(*gaps).confidence_interval(0.95)
    assert (norm.low, norm.high) == (pytest.approx(low), pytest.approx(high))
    assert norm.differs


def test_a_difference_within_chance_is_called_so():
    wild = rows_of("wild", [0.95, 0.70, 0.91])
    table = summarize([*RANDOM, *wild])
    assert not table.summaries[1].differs
    assert str(table).splitlines()[-1].endswith("no difference seen")
    assert "no difference seen" in table._repr_html_()


def test_the_table_names_everything():
    assert str(summarize([*RANDOM, *BETTER])) == (
        "criterion  cut   as cut  fine-tuned  spread  against random\n"
        "random     50 %  42.5 %  85.0 %      5.0     -\n"
        "norm       50 %  44.5 %  89.0 %      4.6     +4.0 points"
    )


def test_one_seed_has_no_interval_and_says_so():
    table = summarize([*RANDOM[:1], *BETTER[:1]])
    assert math.isnan(table.summaries[1].low)
    assert not table.summaries[1].differs
    assert str(table).splitlines()[-1].endswith("+4.0 points (one seed)")


def test_sparsities_rise_and_criteria_keep_their_order():
    rows = [*rows_of("b", [0.1], 0.9), *rows_of("a", [0.2], 0.9), *rows_of("b", [0.3], 0.5)]
    table = summarize(rows, reference="b")
    assert [(s.sparsity, s.criterion) for s in table.summaries] == [
        (0.5, "b"),
        (0.9, "b"),
        (0.9, "a"),
    ]
    assert statistics.mean(s.recovered for s in table.summaries) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("rows", "reference", "sentence"),
    [
        ([], "random", "rows must hold at least one measurement, got none."),
        (
            RANDOM,
            "rndom",
            "reference must be a criterion in rows, got 'rndom'. Did you mean 'random'?",
        ),
        (
            [*RANDOM, RANDOM[1]],
            "random",
            "rows must hold each network once, got 'random' at sparsity 0.5, seed 1 twice.",
        ),
        (
            [*RANDOM, *BETTER[:2]],
            "random",
            (
                "rows must hold the same seeds for each criterion, got [0, 1] for 'norm' and "
                "[0, 1, 2] for the reference."
            ),
        ),
    ],
)
def test_rows_that_do_not_compare_are_refused(rows, reference, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        summarize(rows, reference)


def test_rows_come_back_from_a_file_to_the_bit(tmp_path):
    groups = {
        ("digits", "channels"): [ComparisonRow("norm", 0.1 + 0.2, 4, 1 / 3, 2 / 3)],
        ("digits", "weights"): RANDOM,
    }
    write_rows(tmp_path / "rows.csv", groups)
    assert read_rows(tmp_path / "rows.csv") == groups


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("digits,channels,norm,0.5,0,0.5", "not enough values to unpack (expected 7, got 6)"),
        ("digits,channels,norm,30,0,0.5,0.5", "a fraction lies outside [0, 1]"),
        ("digits,channels,norm,0.5,0,nan,0.5", "a fraction lies outside [0, 1]"),
    ],
)
def test_a_damaged_file_is_told_by_its_line(tmp_path, line, reason):
    path = tmp_path / "rows.csv"
    write_rows(path, {})
    path.write_text(path.read_text() + line + "\n")
    sentence = (
        f"line 2 of {str(path)!r} must be a row of write_rows, got {line.split(',')!r}: {reason}."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_rows(path)


def test_another_file_is_refused_by_its_head(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    sentence = f"{str(path)!r} must begin with the columns of write_rows, got 'a,b'."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_rows(path)
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "none.csv")
