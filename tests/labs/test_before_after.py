from lwlab.labs.before_after import Pair, before_after
from lwlab.units import format_bytes


def test_a_cost_is_a_bar_over_the_ghost_of_what_it_was_and_both_in_words():
    html = before_after("Costs", [Pair("file", 2000, 500, format_bytes)])
    assert 'lwlab-part-0" style="width:25.00%"' in html
    assert 'lwlab-ghost" style="width:100.00%"' in html
    assert "500 B of 2.00 kB, 25 %" in html


def test_where_a_cost_has_grown_the_ghost_is_the_shorter_one():
    html = before_after("Costs", [Pair("time", 1.0, 4.0, str)])
    assert 'lwlab-part-0" style="width:100.00%"' in html
    assert 'lwlab-ghost" style="width:25.00%"' in html


def test_nothing_before_is_no_division_by_zero_and_names_are_escaped():
    html = before_after("<i>", [Pair("<b>", 0, 0, str)])
    assert "0 of 0<" in html
    assert "<b>" not in html
    assert "&lt;b&gt;" in html


def test_a_note_stands_in_place_of_the_percentage():
    assert "1 of 2, no difference seen<" in before_after(
        "Costs", [Pair("time", 2, 1, str, "no difference seen")]
    )
