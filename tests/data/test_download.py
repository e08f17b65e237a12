import hashlib
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lwlab import data
from lwlab.data.download import PublicFile, download

CONTENT = b"what everybody may read" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def serve(tmp_path):
    """Serve a folder over HTTP on the loopback interface; returns its address and the requests."""
    servers = []

    def start(folder):
        requests = []

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *arguments):
                requests.append(self.path)

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def home(serve, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file.bin").write_bytes(CONTENT)
    return serve(tmp_path / "home")


def test_a_file_is_fetched_once_with_a_progress_bar(home, tmp_path, capfd):
    address, requests = home
    file = PublicFile("file.bin", (address,), SHA256)
    path = download(file, tmp_path / "cache")
    assert path == tmp_path / "cache" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert "100%" in capfd.readouterr().err
    download(file, tmp_path / "cache")
    assert len(requests) == 1


def test_a_damaged_file_in_the_cache_is_fetched_anew(home, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT[:-1])
    download(PublicFile("file.bin", (home[0],), SHA256), tmp_path)
    assert path.read_bytes() == CONTENT


def test_the_next_home_is_tried_where_one_is_gone_or_serves_something_else(home, serve, tmp_path):
    altered, empty = tmp_path / "altered", tmp_path / "empty"
    altered.mkdir()
    empty.mkdir()
    (altered / "file.bin").write_bytes(b"<html>please log in</html>")
    homes = (serve(empty)[0], serve(altered)[0], "http://127.0.0.1:9/", home[0])
    path = download(PublicFile("file.bin", homes, SHA256), tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


def test_where_no_home_helps_each_is_named_with_its_reason(home, tmp_path):
    homes = (home[0] + "elsewhere/", "http://127.0.0.1:9/")
    address = home[0].removeprefix("http://").rstrip("/")
    sentence = (
        f"file.bin could not be downloaded from {address} (HTTP status 404) "
        "or 127.0.0.1:9 (ConnectionError)"
    )
    with pytest.raises(ConnectionError, match=f"^{re.escape(sentence)}$"):
        download(PublicFile("file.bin", homes, SHA256), tmp_path / "cache")
    sentence = f"file.bin could not be downloaded from {address} (another SHA-256)"
    with pytest.raises(ConnectionError, match=f"^{re.escape(sentence)}$"):
        download(PublicFile("file.bin", (home[0],), "0" * 64), tmp_path / "cache")
    assert not (tmp_path / "cache" / "file.bin").exists()


def test_a_set_is_downloaded_into_the_cache_once_and_then_found_there(
    nothing_installed, small_mnist, serve
):
    address, requests = serve(small_mnist.public)
    small_mnist(homes=("http://127.0.0.1:9/", address))
    assert data.available()["mnist"] is None
    assert len(data.load("mnist").train) == 50
    assert len(requests) == 4
    assert data.available()["mnist"] == str(nothing_installed / "mnist")
    data.load("mnist")
    assert len(requests) == 4
