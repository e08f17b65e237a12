from lwlab.plots.lines import LOOKS, legend_rows, line_with_bars


def test_no_two_lines_are_told_apart_by_colour_alone():
    assert len({(dash, symbol) for _, dash, symbol in LOOKS}) == len(LOOKS)


def test_four_names_take_a_second_row_of_the_legend():
    assert [legend_rows(count) for count in (1, 3, 4)] == [1, 1, 2]


def test_a_line_has_its_marks_its_bars_and_its_name_letter_by_letter():
    trace = line_with_bars(
        "<b>", LOOKS[2], [1, 2], [10, 20], above=[3, 4], below=[1, 0], texts=["a", "b"]
    )
    assert (trace["x"], trace["y"], trace["name"]) == ([1, 2], [10, 20], "&lt;b&gt;")
    assert trace["error_y"]["array"] == [3, 4]
    assert trace["error_y"]["arrayminus"] == [1, 0]
    assert (trace["line"]["dash"], trace["marker"]["symbol"]) == ("dash", "diamond")
