import re
from pathlib import Path

import pytest

from lwlab.data import catalogue
from lwlab.data.places import cache_folder, describe_search, find_place, search_roots


def raises(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def fill(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_the_wished_folder_comes_before_the_systems_and_the_cache(
    nothing_installed, tmp_path, monkeypatch
):
    assert search_roots() == [tmp_path / "system", nothing_installed]
    monkeypatch.setenv("LWLAB_DATA", str(tmp_path))
    assert search_roots() == [tmp_path, tmp_path / "system", nothing_installed]


def test_an_empty_wish_is_none_and_a_tilde_is_the_home(nothing_installed, tmp_path, monkeypatch):
    monkeypatch.setenv("LWLAB_DATA", " ")
    assert len(search_roots()) == 2
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LWLAB_DATA", "~")
    assert search_roots()[0] == tmp_path


def test_a_wish_that_is_no_folder_is_refused(tmp_path, monkeypatch):
    missing, file = tmp_path / "missing", tmp_path / "file"
    file.touch()
    advice = "Correct it, or unset it to use the user cache."
    monkeypatch.setenv("LWLAB_DATA", str(missing))
    with raises(
        FileNotFoundError,
        f"LWLAB_DATA must name an existing folder, got '{missing}': nothing is there. {advice}",
    ):
        search_roots()
    monkeypatch.setenv("LWLAB_DATA", str(file))
    with raises(
        NotADirectoryError,
        f"LWLAB_DATA must name an existing folder, got '{file}': it is a file. {advice}",
    ):
        search_roots()


def test_the_cache_is_a_folder_of_lwlabs_own():
    assert cache_folder().name in {"lwlab", "Cache"}
    assert isinstance(cache_folder(), Path)


@pytest.mark.parametrize("folder", ["fashion_mnist", "fashion-mnist"])
def test_a_set_is_found_where_all_its_files_are_gzipped_or_not(tmp_path, folder):
    known = catalogue.PUBLIC_SETS["fashion_mnist"]
    names = list(known.files)
    names[1] += ".gz"
    place = fill(tmp_path / "b" / folder, names)
    assert find_place(known, [tmp_path / "a", tmp_path / "b"]) == place
    (place / names[1]).unlink()
    assert find_place(known, [tmp_path / "a", tmp_path / "b"]) is None


def test_the_first_root_wins(tmp_path):
    known = catalogue.PUBLIC_SETS["mnist"]
    places = [fill(tmp_path / root / "mnist", known.files) for root in "ab"]
    assert find_place(known, [tmp_path / "b", tmp_path / "a"]) == places[1]


def test_cifar10_is_found_as_a_folder_and_as_an_archive(tmp_path):
    known = catalogue.PUBLIC_SETS["cifar10"]
    for root, parent in (("a", "cifar10"), ("b", ".")):
        place = fill(tmp_path / root / parent / "cifar-10-batches-bin", known.files)
        assert find_place(known, [tmp_path / root]) == place
        archive = place.parent / "cifar-10-binary.tar.gz"
        archive.touch()
        assert find_place(known, [tmp_path / root]) == archive


def test_the_search_is_described_with_what_is_missing(tmp_path):
    known = catalogue.PUBLIC_SETS["mnist"]
    fill(tmp_path / "a" / "mnist", known.files[:2])
    fill(tmp_path / "b" / "mnist", [])
    assert describe_search(known, [tmp_path / "a", tmp_path / "b", tmp_path / "c"]) == [
        f"{tmp_path}/a ({tmp_path}/a/mnist lacks t10k-images-idx3-ubyte)",
        f"{tmp_path}/b",
        f"{tmp_path}/c",
    ]
