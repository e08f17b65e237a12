import pytest

from lwlab.plots import describe, per_class_bars


def test_each_class_has_its_accuracy_and_interval(score):
    figure = per_class_bars([score(0.5), score(0.95)], class_names=["cat", "dog"])
    (bars,) = figure.data
    assert (list(bars.x), list(bars.y)) == (["cat", "dog"], [50.0, 95.0])
    assert list(bars.error_y.array) == pytest.approx([10.0, 5.0])  # 105 % is not in the interval
    assert list(bars.error_y.arrayminus) == pytest.approx([10.0, 10.0])
    assert bars.text[0] == "50.0 % of 50 (40.0-60.0 %)"
    assert figure.layout.yaxis.range == (0, 104)
    assert describe(figure) == "Accuracy of 2 classes; the lowest is cat with 50.0 %."


def test_a_class_without_examples_has_no_bar_but_keeps_its_place(score):
    figure = per_class_bars(
        [None, score(0.0)], class_names=["cat", "dog"], baseline=[score(0.7), None]
    )
    now, before = figure.data
    assert (list(now.x), list(now.y)) == (["dog"], [0.0])
    assert (before.name, list(before.x), list(before.y)) == ("before", ["cat"], [70.0])
    assert figure.layout.xaxis.categoryarray == ("cat", "dog")
    assert figure.layout.xaxis.range == (-0.5, 1.5)
    assert before.marker.color == "rgba(0,0,0,0)"  # an outline: what is now shows through


def test_names_of_classes_are_turned_when_they_need_room_and_never_cut_below(score):
    short = per_class_bars([score(0.5)] * 10, class_names=[str(n) for n in range(10)])
    long = per_class_bars([score(0.5)] * 3, class_names=["a very long name of a class", "b", "c"])
    assert (short.layout.xaxis.tickangle, short.layout.margin.b) == (0, 44)
    assert (long.layout.xaxis.tickangle, long.layout.margin.b) == (-40, 96)
    assert long.layout.xaxis.ticktext == ("a very … class", "b", "c")
    assert long.layout.xaxis.tickvals == ("a very long name of a class", "b", "c")


def test_hundreds_of_classes_are_counted_instead_of_named(score):
    names = [f"class {n}" for n in range(100)]
    figure = per_class_bars([score(0.5)] * 100, class_names=names)
    assert figure.layout.xaxis.ticktext == ()
    assert figure.layout.xaxis.title.text == "100 classes, in their order"
    assert len(figure.data[0].y) == 100
