"""How fast ``fit`` trains, against loops written by hand on the same work.

    python benchmarks/train.py [--share 0.1] [--rounds 7]

Loops that train one network from the same weights on the same examples, with batches of 128:

* plain: what a tutorial writes (NCHW, ReLU before pooling, Adam, a shuffled index); and the same
  loop with SimpleCNN as it is, which pools first;
* tightest: channels_last inputs and weights, fused Adam, nothing kept but the weights;
* fit: lwlab's, which also counts right answers, checks the loss at every step and yields records.

The loops take turns within one run, so that whatever else the machine does meets all of them; what
is reported are ratios of the medians. Validation is left out: the split has one image.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F

from lwlab import data
from lwlab.models import SimpleCNN
from lwlab.train import fit

BATCH = 128


def shuffled_batches(count: int, epochs: int) -> Iterator[torch.Tensor]:
    """Yield the indices of each batch."""
    for _ in range(epochs):
        yield from torch.randperm(count).split(BATCH)


class TextbookCNN(SimpleCNN):
    """SimpleCNN with ReLU before pooling, as textbooks write it: the same outputs to the bit."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def plain_loop(dataset: data.Dataset, epochs: int, network: type = TextbookCNN) -> None:
    """Train as a tutorial writes it."""
    model = network(dataset.input_shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    inputs, targets = dataset.train.inputs, dataset.train.targets
    total = torch.zeros(())
    for indices in shuffled_batches(len(inputs), epochs):
        loss = F.cross_entropy(model(inputs[indices]), targets[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach()
    total.item()


def tightest_loop(dataset: data.Dataset, epochs: int) -> None:
    """Train with everything we know and nothing to show for it."""
    model = SimpleCNN(dataset.input_shape).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    inputs, targets = dataset.train.inputs, dataset.train.targets
    channels, height, width = dataset.input_shape
    strides = (channels * height * width, 1, width * channels, channels)
    for indices in shuffled_batches(len(inputs), epochs):
        batch = inputs[indices]
        if channels == 1:
            batch = batch.as_strided(batch.shape, strides)
        loss = F.cross_entropy(model(batch), targets[indices])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def lwlab_loop(dataset: data.Dataset, epochs: int) -> None:
    """Train with fit."""
    model = SimpleCNN(dataset.input_shape)
    for _ in fit(model, dataset, epochs=epochs, batch_size=BATCH, learning_rate=1e-3):
        pass


def seconds(loop: Callable[[data.Dataset, int], None], dataset: data.Dataset, epochs: int) -> float:
    """Return the seconds that ``epochs`` of ``loop`` take."""
    started = time.perf_counter()
    loop(dataset, epochs)
    return time.perf_counter() - started


def shortened(dataset: data.Dataset, share: float) -> data.Dataset:
    """Return a dataset with a share of the train split and next to no validation split."""
    return data.Dataset(
        name=dataset.name,
        train=dataset.train.take(max(BATCH, int(share * len(dataset.train)))),
        validation=dataset.validation.take(1),
        test=dataset.test.take(1),
        class_names=dataset.class_names,
    )


def compare(name: str, share: float, rounds: int, epochs: int) -> None:
    """Print the three loops side by side on one data set."""
    dataset = shortened(data.load(name), share)
    loops = {
        "plain": plain_loop,
        "plain, SimpleCNN": partial(plain_loop, network=SimpleCNN),
        "tightest": tightest_loop,
        "fit": lwlab_loop,
    }
    for loop in loops.values():  # warm-up
        loop(shortened(dataset, 0.2), 1)
    times: dict[str, list[float]] = {key: [] for key in loops}
    for _ in range(rounds):
        for key, loop in loops.items():
            times[key].append(seconds(loop, dataset, epochs))
    medians = {key: statistics.median(values) for key, values in times.items()}
    examples = epochs * len(dataset.train)
    threads = torch.get_num_threads()
    print(f"{name}: SimpleCNN, batch {BATCH}, {threads} threads, {rounds} rounds of {examples:,}")
    for key, median in medians.items():
        spread = f"{min(times[key]):.2f}-{max(times[key]):.2f}"
        print(f"  {key:16s} {median:6.2f} s  ({spread})  {examples / median:9,.0f} examples/s")
    print(f"  fit / tightest throughput: {medians['tightest'] / medians['fit']:.3f}  (wanted 0.95)")
    print(f"  fit / plain throughput:    {medians['plain'] / medians['fit']:.3f}  (wanted 1.3)")


def main() -> None:
    """Run both data sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.1, help="of Fashion-MNIST's train split")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    compare("digits", share=1.0, rounds=options.rounds, epochs=10)
    compare("fashion_mnist", share=options.share, rounds=options.rounds, epochs=1)


if __name__ == "__main__":
    main()
