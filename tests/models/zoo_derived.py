"""Networks made from others of the zoo: in older opsets, in halves, of integers, and as other tools write them."""

import os

import numpy as np
import onnx
import onnxruntime

import zoo_images  # noqa: F401  their recipes come first
import zoo_sequences  # noqa: F401
from zoo_recipe import ATTENTION, RECIPES, like


def old(name, opset):
    def make():
        ATTENTION["attn_implementation"] = "eager"
        made = RECIPES[name]()
        ATTENTION.clear()
        made.exporters, made.opset = ("script",), opset
        return made

    RECIPES[f"{name}_opset{opset}"] = make


for row in (
    ("mobilenet_v2", 9),
    ("gan_generator", 9),
    ("lstm", 9),
    ("roberta", 11),
    ("shufflenet_v2_x0_5", 11),
    ("yolo_head", 12),
    ("distilbert", 13),
    ("alexnet", 8),
    ("llama", 13),
    ("lraspp", 10),
    ("opt", 11),
    ("roberta", 14),
    ("distilbert", 14),
    ("electra", 14),
    ("bart", 14),
    ("opt", 14),
    ("phi", 14),
):
    old(*row)


def quantize(source, target, recipe_made, kind):
    from onnxruntime import quantization as q
    from onnxruntime.quantization import shape_inference

    class Reader(q.CalibrationDataReader):
        def __init__(self):
            self.left = 3

        def get_next(self):
            self.left -= 1
            generator = np.random.default_rng(self.left + 1)
            return {k: like(v, generator) for k, v in recipe_made.inputs.items()} if self.left >= 0 else None

    if kind == "dynamic":
        q.quantize_dynamic(source, target)
        return
    settings = {
        "qdq": {
            "quant_format": q.QuantFormat.QDQ,
            "per_channel": True,
            "activation_type": q.QuantType.QInt8,
            "weight_type": q.QuantType.QInt8,
        },
        "qdq_u8": {
            "quant_format": q.QuantFormat.QDQ,
            "activation_type": q.QuantType.QUInt8,
            "weight_type": q.QuantType.QInt8,
        },
        "qdq_16": {
            "quant_format": q.QuantFormat.QDQ,
            "activation_type": q.QuantType.QUInt16,
            "weight_type": q.QuantType.QInt8,
            "extra_options": {"UseQDQContribOps": True},
        },
        "qoperator": {
            "quant_format": q.QuantFormat.QOperator,
            "activation_type": q.QuantType.QUInt8,
            "weight_type": q.QuantType.QUInt8,
        },
    }[kind]
    prepared = target + ".prepared"
    shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
    q.quantize_static(prepared, target, Reader(), **settings)
    os.remove(prepared)


def halve(source, target, _recipe, _kind):
    from onnxruntime.transformers import float16

    onnx.save(float16.convert_float_to_float16(onnx.load(source), keep_io_types=False), target)


def fuse(source, target, recipe_made, kind):
    """What ONNX Runtime's optimizer for transformers writes: attention and norms as single operators of its domain."""
    from onnxruntime.transformers import optimizer

    optimizer.optimize_model(source, kind, num_heads=4, hidden_size=32).save_model_to_file(target)


def simplify(source, target, _recipe, _kind):
    """What ONNX Runtime's own optimizer writes: operators of its domain."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = target
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


DERIVED = {}
for made_from, change, kind, limit in (
    ("mobilenet_v2", quantize, "qdq", "quantized"),
    ("mobilenet_v2", quantize, "qdq_u8", "quantized"),
    ("mobilenet_v2", quantize, "qoperator", "quantized"),
    ("mobilenet_v2", quantize, "qdq_16", "quantized"),
    ("mnasnet0_5", quantize, "qdq", "quantized"),
    ("roberta", quantize, "qdq", "quantized"),
    ("roberta", quantize, "dynamic", "quantized"),
    ("lstm", quantize, "dynamic", "quantized"),
    ("llama", quantize, "dynamic", "quantized"),
    ("mobilenet_v2", halve, "f16", "f16"),
    ("densenet121", halve, "f16", "f16"),
    ("roberta", halve, "f16", "f16"),
    ("roberta", simplify, "ort", "fp32"),
    ("roberta_opset14", fuse, "bert", "fp32"),
    ("distilbert_opset14", fuse, "bert", "fp32"),
    ("electra_opset14", fuse, "bert", "fp32"),
    ("bart_opset14", fuse, "bart", "fp32"),
    ("opt_opset14", fuse, "gpt2", "fp32"),
    ("swin_t", simplify, "ort", "fp32"),
    ("convnext_tiny", simplify, "ort", "fp32"),
    ("googlenet", simplify, "ort", "fp32"),
    ("convnext_tiny", halve, "f16", "f16"),
    ("swin_t", halve, "f16", "f16"),
    ("llama", halve, "f16", "f16"),
    ("gan_generator", halve, "f16", "f16"),
    ("squeezenet1_1", quantize, "qdq_u8", "quantized"),
    ("shufflenet_v2_x0_5", quantize, "qoperator", "quantized"),
    ("timm_deit_tiny_patch16_224", quantize, "qdq_u8", "quantized"),
    ("bart", simplify, "ort", "fp32"),
    ("llama", simplify, "ort", "fp32"),
    ("mobilenet_v2", simplify, "ort", "fp32"),
    ("deit_tiny", simplify, "ort", "fp32"),
):
    DERIVED[f"{made_from}_{kind}"] = (
        made_from if made_from in RECIPES else "timm_deit_tiny_patch16_224",
        change,
        kind,
        limit,
    )
