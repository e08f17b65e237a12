"""A prepared model as QDQ ONNX: the same quantized model, for another runtime to run.

Weights go in as codes behind a DequantizeLinear, each activation quantizer as QuantizeLinear and
DequantizeLinear, biases as int32 at the scale of the sums. ONNX Runtime fuses these into its own
integer kernels. For SimpleCNN and ResNet8, and what is built from the same operations; 8 bits.
"""

from __future__ import annotations

import operator

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from lwlab.quantize import quantized_weights
from lwlab.quantize.activations import FakeQuantizeActivation


class Twin:
    """Writes one ONNX node after the other."""

    def __init__(self, prepared):
        self.model = prepared
        self.weights = quantized_weights(prepared)
        self.nodes, self.initializers = [], []
        self.scales: dict[str, float] = {}  # of what a quantizer gave

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def quantizer(self, name, fake, x):
        zero = np.array(int(fake.zero_point), dtype=np.uint8 if fake.quant_min == 0 else np.int8)
        scale = np.array(float(fake.scale), dtype=np.float32)
        self.scales[name] = float(fake.scale)
        parts = [self.constant(f"{name}_scale", scale), self.constant(f"{name}_zero", zero)]
        codes = self.add("QuantizeLinear", [x, *parts], f"{name}_codes")
        return self.add("DequantizeLinear", [codes, *parts], name)

    def layer(self, name, path, layer, x):
        weight = self.weights[path]
        scale = weight.scale.numpy()
        codes = weight.codes.numpy().astype(np.int8)
        parts = [
            self.constant(f"{name}_weight", codes),
            self.constant(f"{name}_weight_scale", scale),
            self.constant(f"{name}_weight_zero", np.zeros(len(scale), dtype=np.int8)),
        ]
        real = self.add("DequantizeLinear", parts, f"{name}_weight_real", axis=0)
        bias_scale = (scale.astype(np.float64) * self.scales[x]).astype(np.float32)
        bias = np.rint(layer.bias.detach().double().numpy() / bias_scale).astype(np.int32)
        parts = [
            self.constant(f"{name}_bias", bias),
            self.constant(f"{name}_bias_scale", bias_scale),
        ]
        bias = self.add("DequantizeLinear", parts, f"{name}_bias_real", axis=0)
        if isinstance(layer, nn.Linear):
            return self.add("Gemm", [x, real, bias], name, transB=1)
        pads = [*layer.padding, *layer.padding]
        return self.add("Conv", [x, real, bias], name, pads=pads, strides=list(layer.stride))

    def norm(self, name, module, x):
        values = {
            "gamma": module.weight, "beta": module.bias,
            "mean": module.running_mean, "var": module.running_var,
        }  # fmt: skip
        parts = [self.constant(f"{name}_{k}", v.detach().numpy()) for k, v in values.items()]
        return self.add("BatchNormalization", [x, *parts], name, epsilon=module.eps)

    def step(self, node, env):  # noqa: PLR0911 - one line per operation
        name, x = node.name, env[node.args[0]]
        module = self.model.get_submodule(node.target) if node.op == "call_module" else None
        if isinstance(module, FakeQuantizeActivation):
            return self.quantizer(name, module, x)
        if node.target in self.weights:
            return self.layer(name, node.target, module, x)
        if isinstance(module, nn.BatchNorm2d):
            return self.norm(name, module, x)
        if isinstance(module, nn.Identity):
            return x
        if node.target is F.relu:
            return self.add("Relu", [x], name)
        if node.target is F.max_pool2d:
            size = [node.args[1]] * 2
            return self.add("MaxPool", [x], name, kernel_shape=size, strides=size)
        if node.target in (operator.add, torch.add):
            return self.add("Add", [x, env[node.args[1]]], name)
        if node.target == "mean":
            return self.add("GlobalAveragePool", [x], name)
        if node.target == "flatten":
            return self.add("Flatten", [x], name, axis=1)
        raise NotImplementedError(f"{node.format_node()}")


def onnx_twin(prepared) -> onnx.ModelProto:
    """Return the ONNX model; its input is ``images``, its output ``logits``."""
    twin, env = Twin(prepared.eval()), {}
    for node in prepared.graph.nodes:
        if node.op == "placeholder":
            env[node] = "images"
        elif node.op == "output":
            twin.add("Identity", [env[node.args[0]]], "logits")
        else:
            env[node] = twin.step(node, env)
            if node.target == "mean":  # GlobalAveragePool keeps the axes
                env[node] = twin.add("Flatten", [env[node]], f"{node.name}_flat", axis=1)
    shape = ["batch", *prepared_shape(prepared)]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", None])]
    graph = helper.make_graph(twin.nodes, "twin", inputs, outputs, twin.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def prepared_shape(prepared):
    first = next(m for m in prepared.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))
    return [first.in_channels, None, None] if isinstance(first, nn.Conv2d) else [first.in_features]


def onnx_logits(
    model: onnx.ModelProto, inputs: torch.Tensor, batch_size: int = 500
) -> torch.Tensor:
    """Return the logits that ONNX Runtime computes, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    parts = [session.run(None, {"images": part.numpy()})[0] for part in inputs.split(batch_size)]
    return torch.from_numpy(np.concatenate(parts))
