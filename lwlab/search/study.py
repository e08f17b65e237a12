"""The file that the workers of a search share: a study of Optuna in a journal file.

Optuna's ``JournalFileBackend`` appends one line for each thing that happens, under a lock file: it
needs no server, works on network folders, and what is in it survives any kill. Two things are added
here. Only one worker at a time may take a new try (``claiming``), so that together they finish just
as many as are wanted. And a line that was cut off, by a full disk or a lost machine, is taken out
before Optuna would trip over it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lwlab.search.locks import FileLock
from lwlab.search.space import DIGITS
from lwlab.search.trials import SearchTrial

if TYPE_CHECKING:
    import optuna

__all__ = ["claiming", "finished_trials", "open_study"]

_NAME = "lwlab search"
_IDENTITY, _ID = "lwlab", "id"
_LONGEST_LINE = 1 << 20


def open_study(path: Path, identity: Mapping[str, Any]) -> optuna.Study:
    """Open the study at ``path``, or begin one.

    Args:
        path: of the file.
        identity: what must be alike for tries to be compared, as JSON can hold it.

    Raises:
        ImportError: Optuna is not installed.
        ValueError: the file is something else, or the study is of another identity.
        FileNotFoundError: its folder does not exist.
    """
    _import_optuna()
    _check_place(path)
    with claiming(path):
        _cut_torn_line_(path)
        study = _load(path)
        attributes = study.user_attrs
        if _IDENTITY not in attributes:
            study.set_user_attr(_ID, uuid.uuid4().hex)
            study.set_user_attr(_IDENTITY, dict(identity))
            return study
    found = attributes[_IDENTITY]
    different = [name for name in identity if found.get(name) != identity[name]]
    if different:
        raise ValueError(
            f"study_path must be a new file or a search with the same {' and '.join(different)}, "
            f"got {str(path)!r}. Name another file."
        )
    return study


def claiming(path: Path) -> FileLock:
    """Return the lock under which tries are taken."""
    return FileLock(f"{path}.claim")


def _lock(path: Path) -> FileLock:
    """Return the lock under which a line is appended."""
    return FileLock(f"{path}.lock")


def finished_trials(study: optuna.Study) -> list[SearchTrial]:
    """Return the finished tries in their order."""
    from optuna.trial import TrialState  # noqa: PLC0415 (heavy)

    found = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    study_id = study.user_attrs[_ID]
    trials = [
        SearchTrial(
            index=trial.user_attrs["index"],
            params={n: _short(value) for n, value in trial.params.items()},
            recipe=trial.user_attrs["recipe"],
            accuracy=trial.values[0],
            size_bytes=int(trial.values[1]),
            seconds=trial.user_attrs["seconds"],
            finished=trial.user_attrs["finished"],
            key=f"search {study_id} {trial.number}",
        )
        for trial in found
    ]
    return sorted(trials, key=lambda trial: trial.index)


def _short(value: Any) -> Any:
    return round(value, DIGITS) if isinstance(value, float) else value  # no 0.32899999999999996


def _import_optuna() -> None:
    try:
        import optuna  # noqa: F401, PLC0415 (heavy)
    except ImportError:
        raise ImportError(
            "search needs Optuna, which is not installed. Try: pip install 'lwlab[search]'"
        ) from None


def _load(path: Path) -> optuna.Study:
    import optuna  # noqa: PLC0415 (heavy)
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415 (heavy)

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # "A new study created" is no news
    try:
        backend = JournalFileBackend(str(path), _lock(path))
        storage = optuna.storages.JournalStorage(backend)
        if any(study.study_name == _NAME for study in storage.get_all_studies()):
            return optuna.load_study(study_name=_NAME, storage=storage)
        directions = ["maximize", "minimize"]
        return optuna.create_study(study_name=_NAME, storage=storage, directions=directions)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        raise _foreign(path) from None
    finally:
        optuna.logging.set_verbosity(before)


def _check_place(path: Path) -> None:
    """See that the file is new, empty, or begins like a study of Optuna."""
    if not path.parent.is_dir() or path.is_dir():
        raise FileNotFoundError(
            f"study_path must be a file in a folder that exists, got {str(path)!r}."
        )
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    try:
        begins_so = first.endswith(b"\n") and "op_code" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        begins_so = False
    if not begins_so:
        raise _foreign(path)


def _cut_torn_line_(path: Path) -> None:
    """Take out a last line without an end: what it would have said has not happened."""
    if not path.exists():
        return
    with _lock(path):  # so that nobody is writing a line just now
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)


def _foreign(path: Path) -> ValueError:
    return ValueError(
        f"study_path must be a new file or one of a search, got another in {str(path)!r}. "
        f"Name another file."
    )
