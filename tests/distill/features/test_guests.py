import copy

import pytest
import torch
from torch import nn

from lwlab import measure
from lwlab.distill.features.guests import hosted


@pytest.fixture
def guest():
    return nn.Linear(2, 3)


def test_the_model_names_its_guests_inside_the_block_only(guest):
    model = nn.Linear(4, 2)
    before = [name for name, _ in model.named_parameters()]
    with hosted(model, guest.parameters()):
        ids = {id(parameter) for parameter in model.parameters()}
        assert ids == {id(p) for p in (*model.parameters(), *guest.parameters())}
        assert len(ids) == 4
    assert [name for name, _ in model.named_parameters()] == before


def test_guests_leave_after_an_error_too(guest):
    model = nn.Linear(4, 2)
    with pytest.raises(RuntimeError, match="stop"), hosted(model, guest.parameters()):
        raise RuntimeError("stop")
    assert len(list(model.parameters())) == 2
    assert not model._state_dict_hooks
    assert not model._load_state_dict_post_hooks


def test_a_snapshot_is_of_the_model_alone_and_can_be_loaded(guest):
    model = nn.Sequential(nn.Linear(4, 2))
    outer = nn.ModuleDict({"student": model})
    plain, size = list(model.state_dict()), measure.packed_bytes(model)
    with hosted(model, guest.parameters()):
        assert list(model.state_dict()) == plain
        assert list(outer.state_dict()) == [f"student.{name}" for name in plain]
        assert measure.packed_bytes(model) == size
        state = {name: torch.ones_like(tensor) for name, tensor in model.state_dict().items()}
        model.load_state_dict(state)
        with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0\.bias"'):
            model.load_state_dict({"0.weight": state["0.weight"]})
    assert (model[0].weight == 1).all()


def test_no_forward_pass_meets_a_guest(guest):
    model = nn.Sequential(nn.Linear(4, 2))
    inputs = torch.ones(1, 4)
    before = model(inputs)
    with hosted(model, guest.parameters()):
        assert torch.equal(model(inputs), before)


def test_two_blocks_share_a_model_and_a_copy_has_guests_of_its_own(guest):
    model = nn.Linear(4, 2)
    other = nn.Linear(5, 5)
    with hosted(model, guest.parameters()):
        with hosted(model, other.parameters()):
            assert len(list(model.parameters())) == 6
            twin = copy.deepcopy(model)
        assert len(list(model.parameters())) == 4
    assert len(list(model.parameters())) == 2
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in guest.parameters()}
