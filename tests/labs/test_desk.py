import re

from lwlab.labs.desk import Measured, byte_meter, strip


def test_a_column_is_as_high_as_what_the_option_costs():
    columns = [Measured("a", 0.4, False), Measured("b", 0.0, True), Measured("c", None, False)]
    html = strip("fc1", columns, 0.8, "<i>words</i>")
    assert re.findall(r"height:([\d.]+)px;background", html) == ["12.0", "1.0", "0.0"]
    assert re.findall(r'title="([^"]*)"', html) == ["a: -40.0 points", "b: +0.0 points",
                                                   "c: not measured"]  # fmt: skip
    assert html.count("border-left") == 1
    assert "<i>words" not in html


def test_a_strip_without_columns_says_so():
    assert "sensitivity not measured" in strip("fc1", (), 1.0, "")


def test_the_meter_tells_what_is_left_or_missing():
    html = byte_meter(500, 2000, 800.0, "<b>more</b>")
    assert "file <b>500 B</b> of 800 B allowed: 300 B to spare; &lt;b&gt;more" in html
    assert "width:25.00%" in html
    assert "left:calc(40.00%" in html
    assert "200 B too many" in byte_meter(1000, 2000, 800.0, "")
