"""The networks that are measured on cards: the shapes of their inputs, as planfarm's --shapes takes them.

usage: gpu_cases.py MODEL:BATCH     prints them; an empty line: the network's own
"""

import sys

SEQUENCE = 128
SHAPES = {  # inputs at batch b
    "bert_base": lambda b: f"input_ids:{b}x{SEQUENCE},attention_mask:{b}x{SEQUENCE}",
    "gpt2": lambda b: f"input_ids:{b}x{SEQUENCE}",
    "llama_4l": lambda b: f"input_ids:{b}x{SEQUENCE}",
    "unet": lambda b: f"latent:{b}x4x64x64",
    "deeplabv3_resnet50": lambda b: "",
}


def shapes_of(model, batch):
    """Empty: the network's own."""
    return SHAPES.get(model, lambda b: f"input:{b}x3x224x224")(batch)


if __name__ == "__main__":
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        sys.exit(__doc__)
    print(shapes_of(*sys.argv[1].split(":", 1)))
