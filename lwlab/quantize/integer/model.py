"""The integer model: a program of small modules, and the list of what is left in float."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

__all__ = ["FloatOperation", "IntegerModel", "Step"]


@dataclass(frozen=True)
class FloatOperation:
    """An operation that an integer model computes in float.

    Attributes:
        name: of the layer or the node, such as ``"stack1.conv1"`` or ``"sigmoid"``.
        kind: what it is, such as ``"Conv2d"`` or ``"sigmoid"``.
        reason: why there are no integers for it.
    """

    name: str
    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}): {self.reason}"


@dataclass(frozen=True, eq=False)
class Step:
    """What one step of the program did.

    Attributes:
        name: of the step.
        text: the step as a line of the printed program.
        value: what it gave.
    """

    name: str
    text: str
    value: Any


class IntegerModel(nn.Module):
    """A model that computes with whole numbers; made by ``convert``.

    Float inputs in, float logits out; in between codes and sums, int32 tensors, by ``program``, a
    ``torch.fx.GraphModule`` of the modules in this package. ``print`` shows it line by line,
    ``steps`` runs it line by line. All its integers are buffers, so ``state_dict`` has them.

    Attributes:
        program: the steps.
        float_operations: what is computed in float, between a Dequantize and a Quantize.
        points: the step that holds the codes of each activation quantizer, by the point's name.
    """

    def __init__(
        self,
        program: fx.GraphModule,
        float_operations: tuple[FloatOperation, ...],
        points: dict[str, str],
    ) -> None:
        super().__init__()
        self.program = program
        self.float_operations = tuple(float_operations)
        self.points = dict(points)
        self.eval()

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Any:
        """Return what the prepared model would return, in float32, computed in integers."""
        return self.program(inputs)

    def train(self, mode: bool = True) -> IntegerModel:
        """Stay in evaluation mode: whole numbers do not train."""
        return super().train(False)

    @torch.no_grad()
    def steps(self, inputs: Tensor) -> Iterator[Step]:
        """Yield each step of the program with its value, in order, as it is computed.

        >>> for step in integer.steps(images):                               # doctest: +SKIP
        ...     print(step.text, step.value.shape)
        """
        interpreter = fx.Interpreter(self.program)
        interpreter.args_iter = iter((inputs,))
        for node in self.program.graph.nodes:
            value = interpreter.env[node] = interpreter.run_node(node)
            if node.op != "output":
                yield Step(node.name, self._line(node), value)

    def codes(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return the codes of each activation quantizer, int32, by the name of its point."""
        values = {step.name: step.value for step in self.steps(inputs)}
        return {point: values[name] for point, name in self.points.items()}

    def lines(self) -> list[str]:
        """Return the program as text, one step a line."""
        return [self._line(node) for node in self.program.graph.nodes if node.op != "placeholder"]

    def _line(self, node: fx.Node) -> str:
        given = ", ".join(str(arg) for arg in node.args)
        given += "".join(f", {name}={value}" for name, value in node.kwargs.items())
        if node.op == "placeholder":
            return f"{node.name} = the input"
        if node.op == "output":
            return f"return {given}"
        if node.op == "get_attr":
            return f"{node.name} = {node.target}"
        if node.op != "call_module":
            target = node.target if isinstance(node.target, str) else node.target.__name__
            return f"{node.name} = {target}({given})"
        module = self.program.get_submodule(node.target)
        note = module.extra_repr()
        line = f"{node.name} = {_kind(module)}({given})"
        return f"{line}  # {note}" if note else line

    def __str__(self) -> str:
        lines = [f"IntegerModel, {len(self.lines())} steps, {self._summary()}"]
        lines += [f"  {line}" for line in self.lines()]
        return "\n".join(lines + [f"In float: {operation}" for operation in self.float_operations])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Show the program in a notebook, and what is in float."""
        items = "".join(f"<li>{html.escape(str(one))}</li>" for one in self.float_operations)
        listed = f"<ul>{items}</ul>" if items else ""
        program = html.escape("\n".join(self.lines()))
        return f"<div>{html.escape(self._summary())}{listed}<pre>{program}</pre></div>"

    def _summary(self) -> str:
        count = len(self.float_operations)
        if not count:
            return "all in integers"
        return f"{count} operation{'s' if count > 1 else ''} in float"


def _kind(module: nn.Module) -> str:
    """Return the name of a module's class; torch puts "Parametrized" before some."""
    return type(module).__name__.removeprefix("Parametrized")
