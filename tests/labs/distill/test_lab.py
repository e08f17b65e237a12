import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from lwlab import measure
from lwlab.data import Dataset, Split
from lwlab.distill import Teacher, soften
from lwlab.distill.arms import alone, distilled, label_smoothing
from lwlab.distill.student_table import summarize_students
from lwlab.distill.students import train_students
from lwlab.labs.distill import DistillLab
from lwlab.labs.distill.params import CONTROLS
from lwlab.models import SimpleCNN

LONG = 30
CLASSES = (
    "{} must return one logit for each of the 10 classes of the data set, got {}. All three must "
    "tell the same classes apart, in the same order."
)


def settle(lab, **changes):
    lab.set(**changes)
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result


def finish(lab):
    lab.start_button.click()
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result.race


def done(lab):
    """Await ``lab.done()`` in a thread of its own: a browser test may have left a loop in ours."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(lab.done())).result(LONG)


def figures(lab):
    return [figure.to_json() for figure in lab.live.screen.figures]


# ---- what the teacher says ---------------------------------------------------------------------


def test_the_answer_on_screen_is_the_softened_logits_of_the_teacher(make, trained, digits):
    lab = make(temperature=3.0, order="as they come", example=7)
    logits = Teacher(trained).logits(digits.validation.inputs)
    answer = lab.result.answer
    assert (answer.index, answer.label) == (7, int(digits.validation.targets[7]))
    expected = soften(logits, 3.0)[7]
    assert torch.allclose(torch.tensor(answer.probabilities), expected, atol=1e-6)


def test_the_map_holds_the_mean_answer_of_each_true_class(make, trained, digits):
    lab = make(temperature=2.0)
    softened = soften(Teacher(trained).logits(digits.validation.inputs), 2.0)
    for number, row in enumerate(lab.result.similarity):
        expected = softened[digits.validation.targets == number].mean(dim=0)
        assert torch.allclose(torch.tensor(row), expected, atol=1e-6)


def test_hesitant_images_come_first_where_the_two_best_classes_are_nearest(make, trained, digits):
    lab = make(order="hesitant")
    two = Teacher(trained).logits(digits.validation.inputs).topk(2, dim=1).values
    margins = (two[:, 0] - two[:, 1]).tolist()
    seen = [settle(lab, example=place).answer.index for place in range(5)]
    assert [margins[index] for index in seen] == sorted(margins)[:5]


def test_next_and_previous_turn_the_pages_round_the_ends(make, digits):
    lab = make(order="as they come")
    lab.next_button.click()
    assert lab.wait(LONG)
    assert lab.result.answer.index == 1
    for _ in range(2):
        lab.previous_button.click()
    assert lab.wait(LONG)
    assert lab.result.answer.index == len(digits.validation) - 1


def test_a_higher_temperature_softens_answer_and_map(make):
    lab = make(temperature=1.0)
    sharp, drawn = lab.result, figures(lab)
    soft = settle(lab, temperature=8.0)
    assert max(soft.answer.probabilities) < max(sharp.answer.probabilities)
    assert all(soft.similarity[i][i] < sharp.similarity[i][i] for i in range(10))
    assert all(a != b for a, b in zip(drawn, figures(lab), strict=True))


# ---- every control -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "value"), [("temperature", 9.0), ("order", "as they come"), ("example", 12)]
)
def test_each_control_of_the_teacher_moves_answer_picture_headline_and_code(make, control, value):
    lab = make()
    answer, screen = lab.result.answer, lab.live.screen
    lab.controls[control].value = value  # as a browser does
    assert lab.wait(LONG)
    assert lab.error is None
    assert lab.result.answer != answer
    assert lab.live.screen.figures[0].to_json() != screen.figures[0].to_json()
    assert lab.live.screen.headline != screen.headline
    assert lab.live.screen.code != screen.code


TRAINED = {
    "temperature": (9.0, {"distilled"}),
    "kind": ("mse", {"distilled"}),
    "alpha": (0.25, {"distilled"}),
    "control": ("shuffled", {"shuffled"}),
    "epochs": (3, {"alone", "distilled", "label smoothing"}),
    "learning_rate": (0.01, {"alone", "distilled", "label smoothing"}),
    "seed": (4, {"alone", "distilled", "label smoothing"}),
}


@pytest.fixture(scope="module")
def plain(trained_once, digits):
    """Losses of the three students at the first settings."""
    lab = DistillLab(trained_once, SimpleCNN(width=4, hidden=16), digits, epochs=2)
    return {name: records[-1].loss for name, records in lab.run().records.items()}


@pytest.mark.parametrize("control", TRAINED)
def test_each_control_of_the_training_counts_at_the_next_start(make, plain, control):
    value, changed = TRAINED[control]
    lab = make()
    headline = lab.live.screen.headline
    lab.controls[control].value = value
    assert lab.wait(LONG)
    assert lab.live.screen.headline != headline  # the next Start is said to be another one
    race = finish(lab)
    losses = {name: records[-1].loss for name, records in race.records.items()}
    assert {name for name in losses if losses[name] != plain.get(name)} == changed
    assert str(value) in lab.live.screen.code or control == "seed"


def test_these_tests_cover_every_control(make):
    assert set(make().controls) == {"temperature", "order", "example", *TRAINED}


@pytest.mark.parametrize("control", CONTROLS)
def test_each_control_arm_can_be_trained_and_shown(make, control):
    lab = make(control=control, epochs=1)
    race = finish(lab)
    assert list(race.records) == ["alone", "distilled", control]
    assert control in lab.live.screen.details
    assert len(lab.live.screen.figures) == 4


# ---- three students ----------------------------------------------------------------------------


def test_the_three_are_those_of_train_students_and_the_teacher_stays_bit_for_bit(
    make, trained, student, digits
):
    before = copy.deepcopy([trained.state_dict(), student.state_dict()])
    lab = make()
    race = finish(lab)
    teacher = Teacher(trained)
    arms = {
        "alone": alone(student),
        "distilled": distilled(student, teacher, temperature=4.0, alpha=0.9),
        "label smoothing": label_smoothing(student),
    }
    rows = list(train_students(arms, digits, seeds=[0], epochs=2))
    assert {row.arm: row.accuracy for row in rows} == {
        name: score.accuracy.value for name, score in race.scores.items()
    }
    for was, model in zip(before, (trained, student), strict=True):
        assert all(torch.equal(tensor, was[name]) for name, tensor in model.state_dict().items())
    assert trained.training  # as it came


def test_a_trained_student_is_a_copy_with_the_accuracy_and_bytes_on_screen(make, digits):
    lab = make()
    finish(lab)
    for name, score in lab.result.race.scores.items():
        network = lab.trained_student(name)
        assert measure.accuracy(network, digits.validation) == score.accuracy
        assert measure.packed_bytes(network) == score.size_bytes
    assert lab.trained_student("alone") is not lab.trained_student("alone")


def test_there_is_no_student_before_start(make, says):
    with says(ValueError, "a student must be trained first, got none. Press Start."):
        make().trained_student("distilled")


def test_finished_seeds_gather_in_a_table_and_the_seed_goes_on(make):
    lab = make()
    found = []
    for number in range(2):
        race = finish(lab)
        assert race.params.seed == number
        assert lab.controls["seed"].value == number + 1
        found.append({name: score.accuracy.value for name, score in race.scores.items()})
    seeds = lab.result.seeds
    assert seeds.seeds == (0, 1)
    gap = sum(f["distilled"] - f["alone"] for f in found) / 2
    assert seeds.table["distilled"].difference.mean == pytest.approx(gap)
    over = sum(f["distilled"] - f["label smoothing"] for f in found) / 2
    assert seeds.over_control.mean == pytest.approx(over)
    assert seeds.table._repr_html_() in lab.live.screen.details


def test_another_recipe_has_a_table_of_its_own_and_the_old_one_is_kept(make):
    lab = make()
    finish(lab)
    settle(lab, alpha=0.5)
    assert "another recipe" in lab.live.screen.headline
    finish(lab)
    assert lab.result.seeds.seeds == (1,)
    settle(lab, alpha=0.9)
    finish(lab)
    assert lab.result.seeds.seeds == (0, 2)


def test_a_seed_trained_again_replaces_its_row(make):
    lab = make()
    finish(lab)
    settle(lab, seed=0)
    finish(lab)
    assert lab.result.seeds.seeds == (0,)


def test_run_trains_in_the_calling_thread_to_the_same_result(make):
    by_button, by_run = make(), make()
    assert finish(by_button).scores == by_run.run().scores
    assert by_run.controls["seed"].value == 1
    assert by_run.result.seeds.seeds == (0,)


def test_the_journal_gets_each_student_of_a_finished_race_with_its_accuracy_and_bytes(make):
    lab = make()
    assert lab.journal_entries(lab.params, lab.result) == ()
    race = lab.run()
    kept = lab.journal_entries(lab.params, lab.result)
    assert {entry.params["student"]: (entry.accuracy, entry.size_bytes) for entry in kept} == {
        name: (score.accuracy.value, score.size_bytes) for name, score in race.scores.items()
    }


def test_done_starts_what_nobody_started_and_does_not_train_again(make):
    lab = make()
    race = done(lab)
    assert race.state == "finished"
    assert done(lab).records == race.records


def test_own_modules_and_functions_of_a_seed_work(digits):
    class Own(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.net = nn.Sequential(
                nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.Linear(width, 10)
            )

        def forward(self, inputs):
            return self.net(inputs)

    lab = DistillLab(Own(32), Own(4), digits, epochs=1, control="random teacher")
    assert lab.run().state == "finished"
    made = DistillLab(Own(32), lambda seed: SimpleCNN(width=2, hidden=8, seed=seed), digits)
    assert made.run().state == "finished"


def test_flat_examples_and_long_class_names_are_shown_without_a_picture(digits):
    flat = Dataset(
        "flat",
        *(Split(s.inputs.flatten(1), s.targets) for s in (digits.train, digits.validation)),
        Split(digits.test.inputs.flatten(1), digits.test.targets),
        class_names=tuple(f"<b>a long name {n}</b>" for n in range(10)),
    )
    lab = DistillLab(nn.Linear(64, 10), nn.Linear(64, 10), flat, epochs=1)
    assert lab.wait(LONG)
    assert "<img" not in lab.live.screen.headline
    assert "<b>a long" not in lab.live.screen.headline
    assert "&lt;b&gt;a long" in lab.live.screen.headline
    assert lab.run().state == "finished"


# ---- the code ----------------------------------------------------------------------------------


def shown_code(lab, trained, student, digits, capsys):
    capsys.readouterr()
    exec(lab.live.screen.code, {"teacher": trained, "student": student, "dataset": digits})
    return capsys.readouterr().out


def test_the_shown_code_prints_answer_and_table(make, trained, student, digits, capsys):
    lab = make(temperature=2.5, control="equal step", kind="dist")
    finish(lab)
    finish(lab)
    printed = shown_code(lab, trained, student, digits, capsys)
    assert f"{max(lab.result.answer.probabilities):.4f}" in printed
    assert str(lab.result.seeds.table) in printed


@pytest.mark.parametrize("control", CONTROLS)
def test_the_shown_code_of_each_control_runs(make, trained, student, digits, capsys, control):
    lab = make(control=control, epochs=1)
    finish(lab)
    assert str(lab.result.seeds.table) in shown_code(lab, trained, student, digits, capsys)


def test_the_table_is_what_summarize_says_of_the_rows(make, trained, student, digits):
    lab = make(epochs=1)
    finish(lab)
    arms = {"alone": alone(student), "distilled": distilled(student, trained)}
    rows = list(train_students(arms, digits, seeds=[0], epochs=1))
    table = summarize_students(rows, against="alone")
    assert lab.result.seeds.table["distilled"].accuracy == table["distilled"].accuracy


# ---- bad input ---------------------------------------------------------------------------------


def test_numbers_of_classes_that_differ_are_one_sentence(trained, student, digits, says):
    five = SimpleCNN(num_classes=5)
    with says(ValueError, CLASSES.format("teacher", 5)):
        DistillLab(five, student, digits)
    with says(ValueError, CLASSES.format("student", 5)):
        DistillLab(trained, five, digits)
    with says(ValueError, CLASSES.format("teacher", 5)):
        DistillLab(five, five, digits)


def test_a_teacher_of_probabilities_is_one_sentence(trained, student, digits, says):
    sentence = (
        "teacher_logits must be logits, got probabilities: no value below 0, and rows that sum to "
        "1. Let the teacher return what it has before its softmax."
    )
    with says(ValueError, sentence):
        DistillLab(nn.Sequential(trained, nn.Softmax(dim=1)), student, digits)


@pytest.mark.parametrize(
    ("first", "error", "sentence"),
    [
        ({"temperature": 0}, ValueError, "temperature must be a finite number above 0, got 0.0."),
        ({"temperature": -2.0}, ValueError, ("temperature must be a finite number above 0, got -2."
         "0.")),
        ({"alpha": 1.5}, ValueError, "alpha must be a fraction in [0, 1], got 1.5."),
        ({"alpha": -0.1}, ValueError, "alpha must be a fraction in [0, 1], got -0.1."),
        (
            {"kind": "kld"},
            ValueError,
            "kind must be one of 'kl', 'mse', 'dkd' or 'dist', got 'kld'. Did you mean 'kl'?",
        ),
        (
            {"example": 300},
            ValueError,
            "example must be a whole number from 0 to 299, got 300.",
        ),
        (
            {"temprature": 2},
            TypeError,
            ("DistillLab() knows 'temperature', 'order', 'example', 'kind', 'alpha', 'control', "
            "'epochs', 'learning_rate' or 'seed', got 'temprature'. Did you mean 'temperature'?"),
        ),
    ],
)  # fmt: skip
def test_a_bad_setting_is_one_sentence(trained, student, digits, says, first, error, sentence):
    with says(error, sentence):
        DistillLab(trained, student, digits, **first)


def test_a_bad_move_leaves_everything_where_it_was(make, says):
    lab = make()
    params, screen = lab.params, lab.live.screen
    with says(ValueError, "temperature must be a finite number above 0, got 0.0."):
        lab.set(temperature=0)
    with says(ValueError, "alpha must be a fraction in [0, 1], got 2.0. Did you mean 0.02?"):
        lab.set(alpha=2)
    assert lab.params == lab.read_controls() == params
    assert lab.live.screen is screen


def test_a_student_that_cannot_start_anew_is_refused_at_once(trained, digits):
    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(64, 10))

        def forward(self, inputs):
            return inputs.flatten(1) @ self.weight

    with pytest.raises(ValueError, match=r"^every layer with parameters must have reset_param"):
        DistillLab(trained, Raw(), digits)
