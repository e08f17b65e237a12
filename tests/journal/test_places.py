import pytest

from lwlab.journal import default_journal
from lwlab.journal import places as places_module


@pytest.mark.parametrize("value", ["off", "OFF", " off "])
def test_off_is_none(monkeypatch, value):
    monkeypatch.setenv("LWLAB_JOURNAL", value)
    assert default_journal() is None


def test_a_named_file_is_taken(monkeypatch, tmp_path, make):
    monkeypatch.setenv("LWLAB_JOURNAL", str(tmp_path / "mine.sqlite"))
    assert default_journal().path == tmp_path / "mine.sqlite"
    default_journal().add(make())
    assert len(default_journal().entries()) == 1


def test_else_it_is_in_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("LWLAB_JOURNAL", raising=False)
    monkeypatch.setattr(places_module, "cache_folder", lambda: tmp_path / "new" / "lwlab")
    assert default_journal().path == tmp_path / "new" / "lwlab" / "journal.sqlite"
