import plotly.graph_objects as go
import pytest

from lwlab.plots import TradeoffPoint, describe
from lwlab.plots.students import student_curves, students_against_size


def point(name, accuracy, size):
    return TradeoffPoint(name, accuracy, accuracy - 0.05, accuracy + 0.02, size)


def draw(record, teacher=0.95):
    return student_curves(
        {
            "alone": [record(5), record(10, validation=0.5), record(20, validation=0.77)],
            "distilled": [record(10, validation=0.6), record(20, validation=0.83)],
            "shuffled": [],
        },
        teacher=teacher,
    )


def test_a_line_a_student_over_the_level_line_of_the_teacher(record):
    teacher, alone, distilled, shuffled = draw(record).data
    assert (list(teacher.x), list(teacher.y)) == ([0, 100], [95, 95])
    assert (list(alone.x), list(alone.y)) == ([10, 20], [50, 77])  # what was scored
    assert (list(distilled.x), list(distilled.y)) == ([10, 20], [60, 83])
    assert list(shuffled.x) == []
    looks = {(t.line.color, t.line.dash, t.marker.symbol) for t in draw(record).data}
    assert len(looks) == 4
    go.Figure(draw(record).to_dict())  # plotly checks each property


def test_the_axis_begins_a_full_ten_below_the_lowest_student_now(record):
    assert draw(record).layout.yaxis.range == (60, 102)  # 77 - 8 = 69
    assert draw(record, teacher=0.1).layout.yaxis.range == (0, 102)  # never below 0


def test_curves_are_described_by_their_newest_scores(record):
    assert describe(draw(record)) == (
        "Accuracy on validation against step: alone 77.0 %, distilled 83.0 %; teacher 95.0 %."
    )
    assert describe(student_curves({"alone": []}, teacher=0.9)) == (
        "Accuracy on validation against step: no student scored yet; teacher 90.0 %."
    )


def test_each_student_and_the_teacher_stand_at_their_bytes(record):
    figure = students_against_size(
        {"alone": point("alone", 0.8, 4000), "distilled": None},
        teacher=point("teacher", 0.9, 50_000),
    )
    teacher, alone = figure.data
    assert (list(teacher.x), list(teacher.y)) == ([50], [90])
    assert (list(alone.x), list(alone.y)) == ([4], [80])
    assert alone.error_y.array[0] == pytest.approx(2)
    assert alone.error_y.arrayminus[0] == pytest.approx(5)
    assert figure.layout.xaxis.title.text == "size of the file (kB)"
    assert describe(figure) == (
        "teacher: 90.0 % right from 50.0 kB; alone: 80.0 % right from 4.00 kB."
    )
    # A student looks alike in both figures.
    first = draw(record).data[1]
    assert (alone.marker.color, alone.marker.symbol) == (first.marker.color, first.marker.symbol)
    go.Figure(figure.to_dict())


def test_more_students_than_looks_are_one_sentence(says):
    names = ["a", "b", "c", "d"]
    sentence = "records must hold at most 3 students, got 4: more lines cannot be told apart."
    with says(ValueError, sentence):
        student_curves({name: [] for name in names}, teacher=0.9)
    with says(ValueError, sentence):
        students_against_size(dict.fromkeys(names), teacher=point("teacher", 0.9, 10))
