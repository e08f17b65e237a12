from lwlab.plots import describe
from lwlab.plots.template import axis, build, legend, plain_text, shorten


def test_a_name_in_html_is_shown_letter_by_letter():
    assert plain_text('<a href="x">a & b</a>') == '&lt;a href="x"&gt;a &amp; b&lt;/a&gt;'
    assert plain_text("&lt;") == "&amp;lt;"  # escaped once more, or it would become a "<"
    assert plain_text(3) == "3"
    assert plain_text("5 % %{meta.summary}") == "5 % &#37;{meta.summary}"  # plotly would fill it in


def test_a_title_in_html_becomes_text_and_the_summary_is_plain():
    figure = build([], title="<a href=x>", summary="1 < 2.")
    assert figure.layout.title.text == "&lt;a href=x&gt;"
    assert describe(figure) == "1 < 2."


def test_title_and_legend_have_a_row_each_above_the_same_plot():
    bare, named = build([], title="A", summary=""), build([], title="A", summary="", **legend())
    two_lines = build([], title="word " * 15, summary="", **legend())
    assert [f.layout.margin.t for f in (bare, named, two_lines)] == [34, 56, 74]
    for figure in (bare, named, two_lines):
        margin = figure.layout.margin
        assert figure.layout.height - margin.t - margin.b == 192
    assert two_lines.layout.title.text.count("<br>") == 1


def test_no_line_of_a_long_title_is_wider_than_the_narrowest_cell_and_no_word_is_lost():
    title = "Accuracy on the validation split against the size of the packed file, in kilobytes"
    lines = build([], title=title, summary="").layout.title.text.split("<br>")
    assert max(map(len, lines)) <= 48
    assert " ".join(lines) == title


def test_margins_follow_the_labels():
    figure = build([], title="A", summary="", left=120, bottom=90, plot_height=300)
    assert figure.layout.margin.to_plotly_json() == {"l": 120, "r": 14, "t": 34, "b": 90}
    assert figure.layout.height == 34 + 300 + 90


def test_an_axis_cannot_be_dragged_and_takes_more_settings():
    settings = axis("size (kB)", range=[0, 7])
    assert (settings["title"]["text"], settings["range"]) == ("size (kB)", [0, 7])
    assert settings["fixedrange"]


def test_shorten_leaves_the_middle_out_and_a_short_name_alone():
    assert shorten("layer1.conv2.weight", 9) == "laye…ight"
    assert shorten("layer1.conv2.weight", 10) == "layer…ight"
    assert shorten("conv1", 5) == "conv1"
