import subprocess
import sys

import pytest

CODE = """
import os
{before}
import torch
os.cpu_count = lambda: 4
torch.set_num_threads({threads})
from lwlab.labs.machine import leave_a_core_to_the_browser
print(leave_a_core_to_the_browser(), torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("before", "threads", "expected"),
    [
        ("os.environ.pop('OMP_NUM_THREADS', None)", 4, "3 3"),
        ("os.environ.pop('OMP_NUM_THREADS', None)", 2, "2 2"),
        ("os.environ['OMP_NUM_THREADS'] = '4'", 4, "4 4"),
    ],
    ids=["all cores: one is left", "somebody chose fewer", "somebody chose in the environment"],
)
def test_one_core_is_left_to_the_browser_unless_somebody_chose(before, threads, expected):
    code = CODE.format(before=before, threads=threads)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
