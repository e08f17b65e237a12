"""Distillation: a small network learns from the answers of a large one.

Read in this order: ``softening`` (temperature), ``losses`` (Hinton's loss, logit matching),
``decoupled``, ``correlation``, ``smoothing`` (the other losses), ``teacher`` and ``answers`` (where
the soft targets come from, and controls), ``untrained`` (the teacher that knows nothing),
``objectives`` (all of it as losses of ``train.fit``), ``stepping`` (is it only a larger step?);
``features`` (learning from layers); ``arm`` and ``arms`` (one way to train a student, and its
controls), ``students`` (many over seeds), ``student_table`` (what was seen), ``lockstep`` (side by
side); ``generations`` (students that become teachers); below that ``logits`` (what is checked).
"""

from lwlab.distill.answers import Answers, CachedAnswers, LiveAnswers, ShuffledAnswers
from lwlab.distill.arm import Arm, Start
from lwlab.distill.arms import (
    alone,
    distilled,
    equal_step,
    label_smoothing,
    random_teacher,
    shuffled,
    standard_arms,
)
from lwlab.distill.correlation import correlation_loss
from lwlab.distill.decoupled import decoupled_loss
from lwlab.distill.features import (
    Attention,
    FeatureDistillation,
    Hint,
    Relation,
    angle_loss,
    attention_loss,
    attention_map,
    distance_loss,
    features_of,
    hint_loss,
)
from lwlab.distill.generations import (
    GenerationRecord,
    born_again,
    teach_chain,
    teacher_accuracy,
)
from lwlab.distill.lockstep import SideBySide, train_side_by_side
from lwlab.distill.losses import distillation_loss, hard_loss, logit_matching_loss, soft_loss
from lwlab.distill.objectives import Distillation, LabelSmoothing, Scaled
from lwlab.distill.smoothing import label_smoothing_loss
from lwlab.distill.softening import log_soften, soften
from lwlab.distill.stepping import (
    distance_travelled,
    gradient_norm,
    gradient_ratio,
    step_ratio,
)
from lwlab.distill.student_table import (
    StudentRow,
    StudentSummary,
    StudentTable,
    read_students,
    summarize_students,
    write_students,
)
from lwlab.distill.students import train_students
from lwlab.distill.teacher import Teacher
from lwlab.distill.untrained import untrained

__all__ = [
    "Answers",
    "Arm",
    "Attention",
    "CachedAnswers",
    "Distillation",
    "FeatureDistillation",
    "GenerationRecord",
    "Hint",
    "LabelSmoothing",
    "LiveAnswers",
    "Relation",
    "Scaled",
    "ShuffledAnswers",
    "SideBySide",
    "Start",
    "StudentRow",
    "StudentSummary",
    "StudentTable",
    "Teacher",
    "alone",
    "angle_loss",
    "attention_loss",
    "attention_map",
    "born_again",
    "correlation_loss",
    "decoupled_loss",
    "distance_loss",
    "distance_travelled",
    "distillation_loss",
    "distilled",
    "equal_step",
    "features_of",
    "gradient_norm",
    "gradient_ratio",
    "hard_loss",
    "hint_loss",
    "label_smoothing",
    "label_smoothing_loss",
    "log_soften",
    "logit_matching_loss",
    "random_teacher",
    "read_students",
    "shuffled",
    "soft_loss",
    "soften",
    "standard_arms",
    "step_ratio",
    "summarize_students",
    "teach_chain",
    "teacher_accuracy",
    "train_side_by_side",
    "train_students",
    "untrained",
    "write_students",
]
