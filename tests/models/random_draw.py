"""What the families of random_operators.py are made of: draws of one seed, and the case that they come to."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Case:
    op: str
    operands: list  # (name, array), "" for one left out; trailing ones left out are dropped
    constants: tuple = ()  # names of operands that are initializers
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: tuple = ("y",)
    opset: int = 18
    tolerance: float = 2e-4  # sums of up to hundreds of FP32 products in another order
    domain: str = ""
    compared: tuple = ()  # some of the outputs; else all

    def __post_init__(self):
        while self.operands and not self.operands[-1][0]:
            self.operands.pop()
        self.compared = [name for name in self.compared or self.outputs if name]
        self.constants = [name for name, _ in self.operands if name and name in self.constants]


LEFT_OUT = ("", None)


class Draw:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def whole(self, low, high):
        """low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def wholes(self, count, low, high):
        return [self.whole(low, high) for _ in range(count)]

    def any_of(self, *choices):
        return choices[self.whole(0, len(choices) - 1)]

    def once_in(self, count):
        return self.whole(1, count) == 1

    def flag(self):
        return self.whole(0, 1)

    def floats(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)

    def integers(self, low, high, kind, *shape):
        """low to high, both included."""
        return self.random.integers(low, high + 1, shape).astype(kind)

    def scales(self, *shape):
        return (self.random.random(shape) * 0.05 + 0.01).astype(np.float32)

    def order(self, count):
        return self.random.permutation(count)


def longs(values):
    return np.array(values, np.int64)
