"""Exercises of the lessons: predict before you see, write it yourself, check it, take a hint."""

from lwlab.exercises.challenge import Challenge, ChallengeScore
from lwlab.exercises.checker import check
from lwlab.exercises.hints import Hint, hint
from lwlab.exercises.predict import Prediction, Reveal, predict
from lwlab.exercises.result import CheckResult, Difference
from lwlab.exercises.task import Case, Mistake, Task
from lwlab.exercises.tasks import TASKS

__all__ = [
    "TASKS",
    "Case",
    "Challenge",
    "ChallengeScore",
    "CheckResult",
    "Difference",
    "Hint",
    "Mistake",
    "Prediction",
    "Reveal",
    "Task",
    "check",
    "hint",
    "predict",
]
