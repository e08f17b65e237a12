from __future__ import annotations

from lwlab.packing.tables import html_table, printable, text_table

ROWS = [("name", "bytes", "why"), ("a", "1,200", "<b>"), ("longer", "7", "")]
RIGHT = (False, True, False)


def test_columns_are_as_wide_as_they_need_and_lines_end_with_their_text():
    assert text_table(ROWS, RIGHT).splitlines() == [
        "name    bytes  why",
        "a       1,200  <b>",
        "longer      7",
    ]


def test_html_is_escaped_and_has_a_head_and_a_body():
    assert html_table("<i>", ROWS[:2], RIGHT) == (
        "<table><caption>&lt;i&gt;</caption><thead><tr>"
        '<th style="text-align:left">name</th><th style="text-align:right">bytes</th>'
        '<th style="text-align:left">why</th></tr></thead><tbody><tr>'
        '<td style="text-align:left">a</td><td style="text-align:right">1,200</td>'
        '<td style="text-align:left">&lt;b&gt;</td></tr></tbody></table>'
    )
    assert html_table("x", ROWS, RIGHT).count("<tr>") == 3


def test_a_name_that_would_move_the_cursor_is_shown_by_its_escapes():
    assert printable("fc1.weight") == "fc1.weight"
    assert printable("a\x1b[2J\n") == "'a\\x1b[2J\\n'"
