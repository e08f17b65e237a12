import json
import re

import pytest

from lwlab.cli import MANIFEST, copy_lessons, lessons_source


@pytest.fixture
def source(tmp_path):
    """Two lessons and a solution, and what must not travel."""
    folder = tmp_path / "source"
    (folder / "solutions").mkdir(parents=True)
    (folder / "00_start.ipynb").write_text("start")
    (folder / "01_measure.ipynb").write_text("measure")
    (folder / "solutions" / "01_measure.ipynb").write_text("solved")
    for unwanted in (".ipynb_checkpoints", "__pycache__"):
        (folder / unwanted).mkdir()
        (folder / unwanted / "00_start.ipynb").write_text("unwanted")
    return folder


def names_in(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_lessons_arrive_with_their_solutions_and_without_checkpoints(source, tmp_path):
    folder = tmp_path / "deep" / "lessons"
    copied = copy_lessons(folder, source)
    lessons = ["00_start.ipynb", "01_measure.ipynb", "solutions/01_measure.ipynb"]
    assert list(copied.added) == lessons
    assert names_in(folder) == [MANIFEST, *lessons]
    assert (folder / "solutions" / "01_measure.ipynb").read_text() == "solved"


def test_a_second_time_changes_nothing(source, tmp_path):
    copy_lessons(tmp_path / "lessons", source)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "lessons").rglob("*.ipynb")}
    again = copy_lessons(tmp_path / "lessons", source)
    assert len(again.unchanged) == 3
    assert (again.added, again.updated, again.kept, again.beside) == ((), (), (), ())
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_untouched_lesson_is_brought_up_to_date(source, tmp_path):
    folder = tmp_path / "lessons"
    copy_lessons(folder, source)
    (source / "00_start.ipynb").write_text("better start")
    assert copy_lessons(folder, source).updated == ("00_start.ipynb",)
    assert (folder / "00_start.ipynb").read_text() == "better start"


def test_a_changed_lesson_stays_and_its_new_version_comes_beside_it_once(source, tmp_path):
    folder = tmp_path / "lessons"
    copy_lessons(folder, source)
    (folder / "00_start.ipynb").write_text("my work")
    copied = copy_lessons(folder, source)
    assert (copied.kept, copied.beside) == (("00_start.ipynb",), ())

    (source / "00_start.ipynb").write_text("better start")
    copied = copy_lessons(folder, source)
    assert (copied.kept, copied.beside) == (("00_start.ipynb",), ("00_start.new.ipynb",))
    assert (folder / "00_start.ipynb").read_text() == "my work"
    assert (folder / "00_start.new.ipynb").read_text() == "better start"

    (folder / "00_start.new.ipynb").unlink()
    assert copy_lessons(folder, source).beside == ()
    assert not (folder / "00_start.new.ipynb").exists()


def test_the_copy_beside_is_never_overwritten_once_changed(source, tmp_path):
    folder = tmp_path / "lessons"
    copy_lessons(folder, source)
    (folder / "00_start.ipynb").write_text("my work")
    (source / "00_start.ipynb").write_text("second")
    copy_lessons(folder, source)
    (source / "00_start.ipynb").write_text("third")
    assert copy_lessons(folder, source).beside == ("00_start.new.ipynb",)
    assert (folder / "00_start.new.ipynb").read_text() == "third"
    (folder / "00_start.new.ipynb").write_text("merging")
    (source / "00_start.ipynb").write_text("fourth")
    assert copy_lessons(folder, source).beside == ()
    assert (folder / "00_start.new.ipynb").read_text() == "merging"


def test_a_deleted_lesson_comes_back_fresh(source, tmp_path):
    copy_lessons(tmp_path / "lessons", source)
    (tmp_path / "lessons" / "00_start.ipynb").unlink()
    assert copy_lessons(tmp_path / "lessons", source).added == ("00_start.ipynb",)


@pytest.mark.parametrize(
    "manifest", [None, "", "{", "[]", '{"files": 3}', '{"files": [1]}', "\xff", "null"]
)
def test_without_a_readable_manifest_every_other_file_is_the_users(source, tmp_path, manifest):
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "00_start.ipynb").write_text("of unknown origin")
    if manifest is not None:
        (folder / MANIFEST).write_bytes(manifest.encode("latin-1"))
    copied = copy_lessons(folder, source)
    assert copied.kept == ("00_start.ipynb",)
    assert copied.beside == ("00_start.new.ipynb",)
    assert (folder / "00_start.ipynb").read_text() == "of unknown origin"
    assert set(json.loads((folder / MANIFEST).read_text())["files"]) >= {"00_start.ipynb"}


def test_a_folder_in_the_place_of_a_lesson_is_left_alone(source, tmp_path):
    (tmp_path / "lessons" / "00_start.ipynb").mkdir(parents=True)
    assert copy_lessons(tmp_path / "lessons", source).kept == ("00_start.ipynb",)


def test_a_failed_write_leaves_the_old_file_and_no_remains(source, tmp_path, monkeypatch):
    folder = tmp_path / "lessons"
    copy_lessons(folder, source)
    before = names_in(folder)
    (source / "00_start.ipynb").write_text("better start")

    def full_disk(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(folder), "replace", full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        copy_lessons(folder, source)
    assert names_in(folder) == before
    assert (folder / "00_start.ipynb").read_text() == "start"


def test_a_file_as_folder_is_one_sentence_and_stays(source, tmp_path):
    (tmp_path / "taken").write_text("mine")
    sentence = (
        f"The folder for the lessons must be a folder, got the file '{tmp_path / 'taken'}'. "
        "Name another one: lwlab lab my-lessons"
    )
    with pytest.raises(NotADirectoryError, match=f"^{re.escape(sentence)}$"):
        copy_lessons(tmp_path / "taken", source)
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_report_names_what_was_kept(source, tmp_path):
    folder = tmp_path / "lessons"
    copy_lessons(folder, source)
    (folder / "01_measure.ipynb").write_text("my work")
    (source / "01_measure.ipynb").write_text("newer")
    assert str(copy_lessons(folder, source)).splitlines() == [
        f"3 lesson files in {folder}",
        "  yours, kept as they are: 01_measure.ipynb",
        "  new version put beside yours: 01_measure.new.ipynb",
    ]


def test_a_checkout_offers_its_notebooks(project):
    assert lessons_source() == project / "notebooks"


def test_an_installed_package_offers_its_own_lessons(tmp_path, monkeypatch):
    monkeypatch.setattr("lwlab.cli.lessons.resources.files", lambda package: tmp_path / "lwlab")
    (tmp_path / "lwlab" / "lessons").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    assert lessons_source() == tmp_path / "lwlab" / "lessons"


def test_a_package_without_lessons_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("lwlab.cli.lessons.resources.files", lambda package: tmp_path / "lwlab")
    sentence = (
        f"The lessons of lwlab must be in {tmp_path / 'lwlab' / 'lessons'}, got nothing there. "
        'Reinstall it: pip install --force-reinstall --no-deps "lwlab"'
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(sentence)}$"):
        lessons_source()


def test_the_manifest_holds_the_digest_of_what_was_offered(source, tmp_path):
    copy_lessons(tmp_path / "lessons", source)
    manifest = json.loads((tmp_path / "lessons" / MANIFEST).read_text())
    # printf start | sha256sum
    assert manifest["files"]["00_start.ipynb"] == (
        "cced28c6dc3f99c2396a5eaad732bf6b28142335892b1cd0e6af6cdb53f5ccfa"
    )
