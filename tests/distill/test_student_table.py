import math
import re

import pytest

from lwlab.distill.student_table import (
    StudentRow,
    read_students,
    summarize_students,
    write_students,
)


def rows_of(arm, accuracies):
    return [StudentRow(arm, seed, value) for seed, value in enumerate(accuracies)]


ALONE = rows_of("alone", [0.80, 0.90, 0.85])
TAUGHT = rows_of("taught", [0.84, 0.93, 0.90])
SMOOTH = rows_of("smooth", [0.83, 0.88, 0.87])


def test_means_spread_and_paired_difference_of_a_worked_case():
    table = summarize_students([*ALONE, *TAUGHT])
    alone, taught = table.summaries
    assert (alone.arm, alone.seeds) == ("alone", 3)
    assert alone.accuracy == pytest.approx(0.85)
    assert alone.spread == pytest.approx(0.05)
    assert taught.difference.mean == pytest.approx(0.04)  # 0.04, 0.03, 0.05
    # stdev 0.01, t(2) = 4.302653: half = 0.0248414
    assert taught.difference.low == pytest.approx(0.04 - 0.0248414, abs=1e-6)
    assert table["taught"] is taught


def test_the_order_of_rows_and_seeds_does_not_matter_for_the_pairs():
    mixed = [*reversed(TAUGHT), *ALONE]
    assert summarize_students(mixed)["taught"] == summarize_students([*ALONE, *TAUGHT])["taught"]


def test_the_table_names_everything():
    lines = [
        "student  seeds  accuracy  spread  against alone                    95 % interval",
        "alone    3      85.0 %    5.0     -                                -",
        "taught   3      89.0 %    4.6     +4.0 points                      +1.5 to +6.5",
        "smooth   3      86.0 %    2.6     +1.0 points, no difference seen  -5.6 to +7.6",
    ]
    assert str(summarize_students([*ALONE, *TAUGHT, *SMOOTH])) == "\n".join(lines)


def test_of_several_controls_the_best_one_is_the_measure():
    rows = [*ALONE, *TAUGHT, *SMOOTH]
    table = summarize_students(rows, against=["alone", "smooth"])
    assert table.against == "smooth"
    assert table["taught"].difference.mean == pytest.approx(0.03)
    assert table["smooth"].difference.mean == 0


def test_names_from_the_user_are_escaped():
    rows = [*ALONE, *rows_of("<b>", [0.5, 0.6, 0.7])]
    assert "&lt;b&gt;" in summarize_students(rows)._repr_html_()
    assert "<b>" not in summarize_students(rows)._repr_html_()


def test_one_seed_has_no_interval_and_says_so():
    table = summarize_students([*ALONE[:1], *TAUGHT[:1]])
    assert math.isnan(table["taught"].difference.low)
    assert str(table).splitlines()[-1].endswith("  +4.0 points (one seed)  -")


@pytest.mark.parametrize(
    ("rows", "against", "sentence"),
    [
        ([], "alone", "rows must hold at least one student, got none."),
        (ALONE, [], "against must name at least one arm, got none."),
        (ALONE, "alon", "against must be an arm in rows, got 'alon'. Did you mean 'alone'?"),
        (
            [*ALONE, ALONE[1]],
            "alone",
            "rows must hold each student once, got 'alone' with seed 1 twice.",
        ),
        (
            [*ALONE, *TAUGHT[:2]],
            "alone",
            (
                "rows must hold the same seeds for each arm, got [0, 1] for 'taught' and "
                "[0, 1, 2] for 'alone'."
            ),
        ),
    ],
)
def test_rows_that_do_not_compare_are_refused(rows, against, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        summarize_students(rows, against)


def test_rows_come_back_from_a_file_to_the_bit(tmp_path):
    rows = [StudentRow('a, "quoted"', 3, 1 / 3), *ALONE]
    write_students(tmp_path / "rows.csv", rows)
    assert read_students(tmp_path / "rows.csv") == rows


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("alone,0", "not enough values to unpack (expected 3, got 2)"),
        ("alone,0,30", "a fraction lies outside [0, 1]"),
        ("alone,0,nan", "a fraction lies outside [0, 1]"),
    ],
)
def test_a_damaged_file_is_told_by_its_line(tmp_path, line, reason):
    path = tmp_path / "rows.csv"
    write_students(path, [])
    path.write_text(path.read_text() + line + "\n")
    sentence = (
        f"line 2 of {str(path)!r} must be a row of write_students, got {line.split(',')!r}: "
        f"{reason}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        read_students(path)


def test_another_file_is_refused_by_its_head(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    sentence = f"{str(path)!r} must begin with the columns of write_students, got 'a,b'."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        read_students(path)
    with pytest.raises(FileNotFoundError):
        read_students(tmp_path / "none.csv")
