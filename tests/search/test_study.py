import re
import sys

import pytest

from lwlab.search.study import claiming, open_study

IDENTITY = {"model": "abc", "seed": 0}


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_a_study_is_opened_again_with_what_it_holds(path):
    study = open_study(path, IDENTITY)
    study.tell(study.ask(), (0.5, 10.0))
    again = open_study(path, IDENTITY)
    assert [trial.values for trial in again.trials] == [[0.5, 10.0]]
    assert again.user_attrs == study.user_attrs


def test_another_search_is_refused(path):
    open_study(path, IDENTITY)
    before = path.read_bytes()
    with says(
        ValueError,
        f"study_path must be a new file or a search with the same seed, got {str(path)!r}. "
        f"Name another file.",
    ):
        open_study(path, {"model": "abc", "seed": 1})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"hello", b"hello\n", b"[1]\n", b"3\n", b'{"op_code": 99}\nx\ny\n', b"\x80\n" * 9]
)
def test_another_file_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with says(
        ValueError,
        f"study_path must be a new file or one of a search, got another in {str(path)!r}. "
        f"Name another file.",
    ):
        open_study(path, IDENTITY)
    assert path.read_bytes() == content


def test_a_torn_line_is_taken_out_and_nothing_else(path):
    study = open_study(path, IDENTITY)
    study.tell(study.ask(), (0.5, 10.0))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 6, "trial')
    again = open_study(path, IDENTITY)
    assert path.read_bytes() == whole
    again.tell(again.ask(), (0.25, 20.0))
    assert [t.values for t in open_study(path, IDENTITY).trials] == [[0.5, 10.0], [0.25, 20.0]]


def test_an_empty_file_and_a_missing_one_begin_a_study(path):
    path.touch()
    assert open_study(path, IDENTITY).trials == []


def test_a_missing_folder_is_named(tmp_path):
    for path in (tmp_path / "none" / "study.log", tmp_path):
        with says(
            FileNotFoundError,
            f"study_path must be a file in a folder that exists, got {str(path)!r}.",
        ):
            open_study(path, IDENTITY)


def test_without_optuna_there_is_one_sentence(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with says(
        ImportError,
        "search needs Optuna, which is not installed. Try: pip install 'lwlab[search]'",
    ):
        open_study(path, IDENTITY)


def test_the_lock_is_free_again_after_an_error(path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), claiming(path):
            raise ZeroDivisionError


def test_what_optuna_tells_is_left_as_it_was(path):
    import optuna

    before = optuna.logging.get_verbosity()
    open_study(path, IDENTITY)
    assert optuna.logging.get_verbosity() == before
