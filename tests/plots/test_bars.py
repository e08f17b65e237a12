import pytest

from lwlab.plots import describe, layer_bars, per_class_bars, size_bars

LINK = "<a href=x>%{y}</a>"
SAFE = "&lt;a href=x&gt;&#37;{y}&lt;/a&gt;"


def test_names_by_strangers_stay_text_in_figures_and_are_plain_in_sentences(score):
    classes = per_class_bars([score(0.5)], class_names=[LINK], baseline=[score(0.6)])
    layers = layer_bars([LINK], [0.5], [7])
    sizes = size_bars({LINK: 7}, baseline_bytes=9, baseline_name="<b>")
    assert [trace.x[0] for trace in classes.data] == [SAFE, SAFE]
    assert layers.data[0].y[0] == SAFE
    assert (sizes.data[0].name, sizes.data[0].text[0]) == (SAFE, f"{SAFE}: 7 B")
    assert sizes.layout.yaxis.ticktext[1] == "&lt;b&gt;<br>9 B"
    for figure in (classes, layers, sizes):
        assert LINK in describe(figure)
        figure.layout.meta = None
        assert LINK not in str(figure.to_dict())
        # A template is a program for plotly: no name may get into it.
        assert all("href" not in trace.hovertemplate for trace in figure.data)


def test_each_layer_is_labelled_with_its_share_and_count():
    figure = layer_bars(["conv1", "fc1"], [0.12, 0.9], [288, 32_768])
    (bars,) = figure.data
    assert list(bars.y) == ["conv1", "fc1"]
    assert list(bars.x) == pytest.approx([12.0, 90.0])
    assert list(bars.text) == ["12.0 % of 288", "90.0 % of 32,768"]
    assert figure.layout.yaxis.range == (1.5, -0.5)  # the first layer on top
    assert describe(figure) == "2 layers; the longest bar is fc1, 90.0 % of 32,768."


def test_labels_of_layers_stand_where_there_is_room():
    places = layer_bars(list("abcd"), [0.0, 0.5, 0.51, 1.0], [1] * 4).data[0].textposition
    assert list(places) == ["outside", "outside", "inside", "inside"]


def test_of_replaces_the_count():
    assert layer_bars(["a"], [0.25], [7], of="of 310 kB").data[0].text[0] == "25.0 % of 310 kB"


def test_many_layers_make_a_higher_figure_and_long_names_a_wider_margin():
    few = layer_bars(["a"], [0.5], [1]).layout
    many = layer_bars([f"l{n}" for n in range(20)], [0.5] * 20, [1] * 20).layout
    assert many.height - few.height == 20 * 26 - 192
    assert few.margin.l == 58
    long = layer_bars(["stacks.1.shortcut_convolution"], [0.5], [1]).layout
    assert long.margin.l == 14 + 7 * 16
    assert long.yaxis.ticktext == ("stacks.1…olution",)


def test_parts_of_a_file_add_up_over_the_outline_of_the_file_before():
    figure = size_bars({"values": 700, "header": 300}, baseline_bytes=4000)
    assert [(t.name, list(t.y), list(t.x)) for t in figure.data] == [
        ("values", [0], [700]),
        ("header", [0], [300]),
        ("before", [1], [4000]),
    ]
    assert [t.showlegend for t in figure.data] == [None, None, False]
    assert figure.layout.yaxis.ticktext == ("now<br>1.00 kB", "before<br>4.00 kB")
    assert figure.layout.xaxis.range == (0, pytest.approx(4320))
    assert describe(figure) == (
        "The file has 1.00 kB: values 700 B, header 300 B; before, 4.00 kB."
    )


def test_parts_are_told_apart_without_their_colours():
    figure = size_bars(dict.fromkeys("abcd", 1), baseline_bytes=9)
    assert len({trace.marker.pattern.shape for trace in figure.data[:4]}) == 4
    three = size_bars(dict.fromkeys("abc", 1), baseline_bytes=9)
    assert figure.layout.margin.t - three.layout.margin.t == 22  # two rows of legend


def test_more_parts_than_styles_are_all_drawn():
    assert len(size_bars({str(n): n for n in range(9)}, baseline_bytes=9).data) == 10


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (
            lambda score: per_class_bars([score(1)], class_names=["a", "b"]),
            "accuracies must hold one value for each of 2 classes, got 1.",
        ),
        (
            lambda score: per_class_bars([score(1)], class_names=["a"], baseline=[None, None]),
            "baseline must hold one value for each of 1 classes, got 2.",
        ),
        (
            lambda _: per_class_bars([None, None], class_names=["a", "b"]),
            "accuracies must hold at least one class with examples, got none.",
        ),
        (
            lambda _: per_class_bars([], class_names=[]),
            "accuracies must hold at least one class with examples, got none.",
        ),
        (
            lambda _: layer_bars([], [], []),
            "names, fractions and counts must be of one length above 0, got 0, 0 and 0.",
        ),
        (
            lambda _: layer_bars(["a"], [0.1, 0.2], [3]),
            "names, fractions and counts must be of one length above 0, got 1, 2 and 1.",
        ),
        (
            lambda _: size_bars({}, baseline_bytes=1),
            "parts must be bytes of at least 0 by name, got {}.",
        ),
        (
            lambda _: size_bars({"a": -1}, baseline_bytes=1),
            "parts must be bytes of at least 0 by name, got {'a': -1}.",
        ),
    ],
)
def test_a_mistake_is_answered_by_one_sentence(says, score, draw, sentence):
    with says(ValueError, sentence):
        draw(score)
