import re
from html.parser import HTMLParser

from lwlab.measure.tables import html_table, text_table

ROWS = [("", "one"), ("size & <b>", "<script>alert('x')</script>")]


class Cells(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes).get("scope")))

    def handle_data(self, data):
        self.texts.append(data)


def test_columns_of_text_line_up_without_trailing_spaces():
    rows = [("", "one", "two"), ("size", "1,000 B", ""), ("time", "1", "3")]
    assert text_table(rows) == "      one      two\nsize  1,000 B\ntime  1        3"


def test_every_cell_of_the_page_is_escaped():
    page = html_table(ROWS)
    assert "<script" not in page
    assert "<b>" not in page
    assert "".join(Cells(page).texts) == "onesize & <b><script>alert('x')</script>"


def test_the_first_row_and_column_are_headings():
    assert Cells(html_table(ROWS)).tags == [
        ("table", None),
        ("tr", None),
        ("th", "col"),
        ("th", "col"),
        ("tr", None),
        ("th", "row"),
        ("td", None),
    ]


def test_colours_come_from_the_theme():
    page = html_table(ROWS)
    assert set(re.findall(r"(?<!-)color:(\w+)", page)) == {"inherit"}
    assert set(re.findall(r"background:(\w+)", page)) == {"none"}
    assert re.findall(r"#[0-9a-f]{3,}", page) == []
