import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import ipywidgets as widgets
import plotly.graph_objects as go
import pytest

from lwlab import measure
from lwlab.distill import Teacher
from lwlab.journal import Entry, Journal, Origin, default_journal, model_fingerprint
from lwlab.labs import ChannelLab, Lab, Part, PruneLab, QuantizeLab, Screen, journaling
from lwlab.labs.distill.journaling import student_entries
from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.result import DistillResult, RaceResult, Score
from lwlab.labs.journaling import json_params, origin_of

LONG = 10


@dataclass(frozen=True)
class Params:
    number: int = 1


class ToyLab(Lab):
    """Halves a number, first roughly."""

    def __init__(self):
        controls = {"number": widgets.IntSlider(1, 0, 9)}
        super().__init__(params=Params(), controls=controls, rows=[])
        self.compute_first()

    def compute(self, params):
        yield Part(0.0, estimate="a first guess")
        yield Part(params.number / 10)

    def draw(self, params, result):
        return Screen((go.Figure(),), headline=str(result))

    def journal_entries(self, params, result):
        return (Entry("ToyLab", json_params(params), result, 100),)


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "journal.sqlite"
    monkeypatch.setenv("LWLAB_JOURNAL", str(path))
    return path


@pytest.fixture
def held(monkeypatch):
    """No result is at rest by itself: tests say when."""
    monkeypatch.setattr(journaling, "_AT_REST_SECONDS", 1000)


def move(lab, **changes):
    lab.set(**changes)
    assert lab.wait(30)
    assert lab.error is None


def at_rest(lab):
    lab._recorder.flush()
    return default_journal().entries()


def test_only_what_stays_is_kept_and_estimates_never_are(path, held):
    lab = ToyLab()
    for number in (2, 3, 4):
        move(lab, number=number)
    assert [e.accuracy for e in at_rest(lab)] == [0.4]
    move(lab, number=5)
    assert [e.params for e in at_rest(lab)] == [{"number": 4}, {"number": 5}]


def test_a_result_is_kept_by_itself_once_it_has_stood(path, monkeypatch):
    monkeypatch.setattr(journaling, "_AT_REST_SECONDS", 0.01)
    written = threading.Event()
    add = Journal.add
    monkeypatch.setattr(Journal, "add", lambda self, e: (add(self, e), written.set())[0])
    lab = ToyLab()
    assert written.wait(LONG)
    assert [e.accuracy for e in Journal(path).entries()] == [0.1]
    written.clear()
    move(lab, number=7)
    assert written.wait(LONG)
    assert [e.accuracy for e in Journal(path).entries()][-1] == 0.7


def test_coming_back_to_a_setting_is_no_new_try(path, held):
    lab = ToyLab()
    for number in (2, 3, 2):
        move(lab, number=number)
        at_rest(lab)
    assert [e.accuracy for e in at_rest(lab)] == [0.2, 0.3]


def test_a_journal_that_fails_is_said_once_and_the_lab_goes_on(path, held):
    path.write_text("my diary, not a database")
    lab = ToyLab()
    lab.wait(LONG)
    lab._recorder.flush()
    sentence = f"{str(path)!r} must be a journal of lwlab, got another kind of file."
    status = lab.live.status
    assert status["kind"] == "fresh"
    assert status["text"].startswith(f"This try is not in the journal: {sentence}")
    assert lab.error is None
    move(lab, number=3)
    lab._recorder.flush()
    assert lab.live.status == {"kind": "fresh", "text": ""}
    assert lab.result == 0.3
    assert path.read_text() == "my diary, not a database"


def test_an_entry_that_cannot_be_made_does_not_break_the_lab(path, held):
    lab = ToyLab()
    lab.wait(LONG)
    lab._recorder._entries = lambda: lambda params, result: 1 / 0
    move(lab, number=4)
    lab._recorder.flush()
    assert lab.live.status["text"].endswith("ZeroDivisionError: division by zero")
    assert (lab.result, lab.error) == (0.4, None)


def test_without_a_journal_nothing_is_kept(held):
    lab = ToyLab()
    lab.wait(LONG)
    lab._recorder.flush()
    assert lab.live.status == {"kind": "fresh", "text": ""}


def test_a_lab_without_entries_keeps_nothing(path, held):
    class Silent(ToyLab):
        journal_entries = Lab.journal_entries

    lab = Silent()
    lab.wait(LONG)
    assert at_rest(lab) == []


def test_the_last_result_is_written_when_python_ends(path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_journaling import ToyLab\n"
        "lab = ToyLab()\n"
        "lab.wait()\n"
    )
    folder = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", script, folder], check=True, timeout=120)
    assert [e.accuracy for e in Journal(path).entries()] == [0.1]


# ---- the labs ----------------------------------------------------------------------------------


def check_try(entry, lab, model, digits):
    assert entry.source == type(lab).__name__
    assert entry.accuracy == lab.result.accuracy.value
    assert entry.size_bytes == lab.result.size_bytes
    assert (entry.model, entry.dataset) == (model_fingerprint(model), "digits")


def test_a_cut_is_kept_and_its_parameters_bring_the_lab_back(path, held, trained, digits):
    lab = PruneLab(trained, digits, sparsity=0.8)
    move(lab, layer_sparsities={"conv1": 0.5})
    move(lab, show="classes")
    [entry] = at_rest(lab)
    check_try(entry, lab, trained, digits)
    assert entry.params["layer_sparsities"]["conv1"] == 0.5
    assert not {"show", "budget", "epochs"} & set(entry.params)
    move(lab, by="sparsity", sparsity=0.2, layer_sparsities={"conv1": 0.0})
    move(lab, **entry.params)
    check_try(entry, lab, trained, digits)
    assert len(at_rest(lab)) == 1


def test_a_fine_tuned_cut_is_another_try(path, held, trained, digits):
    lab = PruneLab(trained, digits, sparsity=0.9, epochs=1)
    lab.wait(30)
    at_rest(lab)
    lab.finetune()
    assert lab.wait(60)
    cut, tuned = at_rest(lab)
    assert (cut.note, tuned.note) == ("", "fine-tuned")
    assert tuned.params == cut.params | {
        "epochs": 1,
        "learning_rate": lab.params.learning_rate,
        "schedule": "one_shot",
    }
    check_try(tuned, lab, trained, digits)


def test_a_quantization_is_kept_and_its_parameters_bring_the_lab_back(path, held, trained, digits):
    lab = QuantizeLab(trained, digits, num_bits=2)
    move(lab, clips={"conv1": (-0.2, 0.3)})
    [entry] = at_rest(lab)
    check_try(entry, lab, trained, digits)
    assert entry.params["clips"] == {"conv1": [-0.2, 0.3]}
    move(lab, num_bits=8, rule="min_max")
    assert lab.result.size_bytes != entry.size_bytes
    move(lab, **entry.params)
    check_try(entry, lab, trained, digits)


def test_removed_channels_are_kept(path, held, trained, digits):
    lab = ChannelLab(trained, digits, pruning_ratio=0.25)
    lab.wait(30)
    [entry] = at_rest(lab)
    check_try(entry, lab, trained, digits)
    assert entry.params == {"pruning_ratio": 0.25, "criterion": "filter norm", "scope": "layer"}
    assert entry.latency_ms is None


def race(state, scores):
    return DistillResult(None, (), None, RaceResult(DistillParams(seed=3), {}, scores, state))


def test_each_student_of_a_finished_race_is_kept():
    origin = Origin("abc", "digits")
    scores = {"alone": Score(measure.Accuracy(3, 4), 10), "distilled": None}
    assert student_entries(race("running", scores), origin) == ()
    assert student_entries(race("stopped", scores), origin) == ()
    assert student_entries(DistillResult(None, (), None), origin) == ()
    [entry] = student_entries(race("finished", scores), origin)
    assert (entry.accuracy, entry.size_bytes, entry.seed) == (0.75, 10, 3)
    assert (entry.source, entry.model, entry.dataset) == ("DistillLab", "abc", "digits")
    assert entry.params["student"] == "alone"
    assert entry.params["temperature"] == 4.0
    assert not {"order", "example"} & set(entry.params)


def test_the_origin_of_a_teacher_is_that_of_its_networks(trained, digits):
    assert origin_of(Teacher(trained).models, digits) == origin_of(trained, digits)
    assert origin_of(trained, digits) == Origin(model_fingerprint(trained), "digits")


def test_parameters_become_what_json_holds():
    @dataclass(frozen=True)
    class Some:
        clips: dict = field(default_factory=lambda: {"conv1": (-1.0, 1.0)})
        show: str = "layers"

    assert json.dumps(json_params(Some(), without=("show",))) == '{"clips": {"conv1": [-1.0, 1.0]}}'
