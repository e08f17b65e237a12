import networks
import pytest
import torch

from lwlab.quantize import prepare_
from lwlab.quantize.activations import prepare_activations
from lwlab.quantize.integer import convert

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", ["SimpleCNN", "ResNet8"])
def test_onnx_runtime_gives_the_same_logits_from_the_same_quantized_model(name):
    from onnx_twin import onnx_logits, onnx_twin

    model, inputs = networks.trained_looking(name)
    inputs = torch.cat([inputs, inputs.flip(-1), inputs.flip(-2), -inputs])
    prepare_(model, num_bits=8)
    ready = prepare_activations(model, inputs)
    expected = onnx_logits(onnx_twin(ready), inputs)
    logits = convert(ready)(inputs)
    assert (logits - expected).abs().max() < 0.02 * expected.abs().max()
    assert torch.equal(logits.argmax(1), expected.argmax(1))
