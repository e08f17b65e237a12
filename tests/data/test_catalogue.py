import re

import numpy as np
import pytest

from lwlab.data.catalogue import PUBLIC_SETS, read_idx_set
from lwlab.data.files import DataFileError
from lwlab.data.places import find_place


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_what_is_downloaded_is_what_is_looked_for(tmp_path, name):
    known = PUBLIC_SETS[name]
    assert known.name == name
    for file in known.downloads:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / file.name).touch()
        assert all(home.startswith("http") and home.endswith("/") for home in file.homes)
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert find_place(known, [tmp_path]) == tmp_path / known.places[0]
    assert len(set(known.class_names)) == 10


def test_a_small_set_is_read_gzipped_or_not(tmp_path, write_small_set):
    gzipped = read_idx_set(write_small_set(tmp_path / "a"), (60, 20))
    plain = read_idx_set(write_small_set(tmp_path / "b", gzipped=False), (60, 20))
    for one, two in zip(gzipped, plain, strict=True):
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[1], two[1])
    (images, labels), (test_images, _) = gzipped
    assert images.shape == (60, 1, 28, 28)
    assert test_images.shape == (20, 1, 28, 28)
    assert labels.tolist() == [*range(10)] * 6


def test_a_label_above_nine_is_refused(tmp_path, write_small_set):
    folder = write_small_set(tmp_path / "a", gzipped=False)
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    sentence = (
        f"{path} must hold labels from 0 to 9, got 10 at record 19. "
        "Delete it and load again, or put the original file in its place."
    )
    with pytest.raises(DataFileError, match=f"^{re.escape(sentence)}$"):
        read_idx_set(folder, (60, 20))
