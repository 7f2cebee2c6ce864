#!/usr/bin/env python3
"""Exports networks of torchvision, timm and transformers, and compares planfarm with ONNX Runtime on them.

usage: zoo.py [--planfarm BINARY] [--folder FOLDER] [--table FILE] [PATTERN...]

The networks have seeded random weights, scaled so that activations keep their size, come from either exporter of
PyTorch, and are quantized, halved or written in old opsets as well. Each is built at --effort 0 and run at two shapes
where its dimensions have names. What is too far from ONNX Runtime's outputs (and from PyTorch's in FP64), is refused,
or takes long to build counts as failed; a network that PyTorch cannot export is left out with its reason. PATTERNs are
regular expressions that a name has to contain. The exit status is 1 when one failed, and 77 when a package is missing;
it needs torch, torchvision, timm, transformers, onnx, onnxscript and onnxruntime."""

import argparse
import contextlib
import io
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
try:
    import numpy as np
    import onnx
    import onnxruntime
    import timm
    import torch
    import torchvision
    import transformers
    from torch import nn
    from torch.nn import functional as F
except ImportError as problem:
    print(f"skipped: {problem}; pip install torch torchvision timm transformers onnx onnxscript onnxruntime")
    sys.exit(77)

NUMPY_TYPES = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
}
LIMITS = {"fp32": 1e-4, "f16": 1e-2, "quantized": 3e-2}
SLOW_SECONDS = 30
RECIPES = {}


class Recipe:
    """What to export: a module, its inputs by name, and which of their axes have which names."""

    def __init__(self, module, inputs, axes=None, exporters=("script", "dynamo"), opset=None, limit="fp32"):
        self.module, self.inputs, self.axes = module.eval(), inputs, axes or {}
        self.exporters, self.opset, self.limit = exporters, opset, limit


def recipe(function):
    RECIPES[function.__name__] = function
    return function


def settle(module, *inputs):
    """Scales the weights of each layer to give values of size one, in the order in which the layers are reached."""
    done, handles = set(), []

    def scale(layer, inputs, out):
        size = out.std().item()
        if layer in done or not size > 0:
            return out
        done.add(layer)
        layer.weight.div_(size)
        return layer.forward(*inputs)

    for layer in module.eval().modules():
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
            if not layer.weight.any():
                nn.init.normal_(layer.weight)
            handles.append(layer.register_forward_hook(scale))
    with torch.no_grad():
        module(*inputs)
    for handle in handles:
        handle.remove()
    return module


# ---- Images

BATCH = {"input": {0: "batch"}}
BATCH_SIZE = {"input": {0: "batch", 2: "height", 3: "width"}}


def picture(size, channels=3, batch=1):
    return torch.randn(batch, channels, size, size)


class Outputs(nn.Module):
    """A network whose outputs come in a dict or another object, as a tuple of tensors."""

    def __init__(self, module, *names, **options):
        super().__init__()
        self.module, self.names, self.options = module, names, options

    def forward(self, *inputs):
        out = self.module(*inputs, **self.options)
        return tuple(out[n] if isinstance(out, dict) else getattr(out, n) for n in self.names)


def vision(name, size, axes=BATCH, exporters=("script", "dynamo"), **options):
    def make():
        module = torchvision.models.get_model(name, weights=None, **options)
        return Recipe(settle(module, picture(size)), {"input": picture(size)}, axes, exporters)

    RECIPES[name] = make


for row in (
    ("densenet121", 64, BATCH_SIZE),
    ("mnasnet0_5", 96),
    ("regnet_y_400mf", 96),
    ("convnext_tiny", 64),
    ("swin_t", 112),
    ("swin_v2_t", 64, BATCH, ("script",)),
    ("shufflenet_v2_x0_5", 96, BATCH_SIZE),
    ("squeezenet1_1", 96, BATCH_SIZE),
    ("vgg11_bn", 64),
    ("efficientnet_v2_s", 96),
    ("mobilenet_v2", 96),
    ("resnext50_32x4d", 64),
    ("wide_resnet50_2", 64, BATCH, ("dynamo",)),
    ("maxvit_t", 224, {}, ("dynamo",)),
):
    vision(*row)
vision("googlenet", 96, aux_logits=False, init_weights=False)
vision("inception_v3", 128, exporters=("script",), aux_logits=False, init_weights=False)
vision("alexnet", 224, exporters=("dynamo",))


@recipe
def r3d_18():
    module = settle(torchvision.models.video.r3d_18(weights=None), torch.randn(1, 3, 8, 48, 48))
    return Recipe(module, {"input": torch.randn(1, 3, 8, 48, 48)}, BATCH)


@recipe
def fcn_resnet50():
    module = Outputs(torchvision.models.segmentation.fcn_resnet50(weights=None, weights_backbone=None), "out")
    return Recipe(settle(module, picture(64)), {"input": picture(64)}, BATCH_SIZE)


@recipe
def lraspp():
    module = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    return Recipe(settle(Outputs(module, "out"), picture(96)), {"input": picture(96)}, BATCH_SIZE)


class Detector(nn.Module):
    """Takes a batch of one image as a tensor."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, image):
        found = self.module([image])[0]
        return found["boxes"], found["scores"], found["labels"]


def detector(name, size, **options):
    def make():
        module = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None, **options)
        image = torch.randn(3, size, size)
        return Recipe(settle(Detector(module), image), {"input": image}, {}, ("script",), 16)

    RECIPES[name] = make


detector("ssdlite320_mobilenet_v3_large", 320, num_classes=7)
detector("retinanet_resnet50_fpn", 96, num_classes=5, min_size=96, max_size=96, score_thresh=0.0001)
detector("fasterrcnn_mobilenet_v3_large_320_fpn", 128, num_classes=5, min_size=128, max_size=128)
detector("maskrcnn_resnet50_fpn", 96, num_classes=4, min_size=96, max_size=96)
detector("fcos_resnet50_fpn", 96, num_classes=5, min_size=96, max_size=96, score_thresh=0.0001)


def image_model(name, size=64, axes=BATCH, exporters=("script", "dynamo"), **options):
    def make():
        module = timm.create_model(name, pretrained=False, exportable=True, **options)
        return Recipe(settle(module, picture(size)), {"input": picture(size)}, axes, exporters)

    RECIPES["timm_" + name] = make


for row in (
    ("mobilenetv4_conv_small", 96),
    ("ghostnetv2_100", 96),
    ("resnest14d", 64),
    ("repvgg_a0", 64),
    ("res2net50_26w_4s", 64, BATCH, ("script",)),
    ("dla34", 64, BATCH, ("dynamo",)),
    ("efficientvit_b0", 64),
    ("mobilevit_xxs", 64),
    ("edgenext_xx_small", 64),
    ("poolformer_s12", 64, BATCH, ("dynamo",)),
    ("fastvit_t8", 64),
    ("nfnet_l0", 64, BATCH, ("dynamo",)),
    ("hardcorenas_a", 64, BATCH, ("script",)),
):
    image_model(*row)
image_model("deit_tiny_patch16_224", 64, img_size=64)
image_model("beit_base_patch16_224", 64, img_size=64, depth=2, exporters=("dynamo",))
image_model("cait_xxs24_224", 64, img_size=64, depth=2, exporters=("script",))
image_model("coat_tiny", 64, img_size=64, exporters=("script",))
image_model("mixer_s32_224", 64, img_size=64)
image_model("vit_tiny_patch16_224", 64, exporters=("dynamo",), img_size=64, class_token=False, global_pool="map")
image_model("eva02_tiny_patch14_224", 56, img_size=56, depth=2, exporters=("dynamo",))


class YoloHead(nn.Module):
    """Three scales, grid decoding, suppression outside."""

    def __init__(self):
        super().__init__()
        block = lambda i, o, s: nn.Sequential(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.SiLU())
        self.stem = nn.Sequential(block(3, 16, 2), block(16, 32, 2), block(32, 32, 2))
        self.down1, self.down2 = block(32, 64, 2), block(64, 96, 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral = block(160, 64, 1)
        self.heads = nn.ModuleList(nn.Conv2d(c, 3 * 9, 1) for c in (32, 64, 96))

    def decode(self, x, stride):
        batch, _, height, width = x.shape
        x = x.view(batch, 3, 9, height, width).permute(0, 1, 3, 4, 2).contiguous()
        ys, xs = torch.meshgrid(
            torch.arange(height, device=x.device), torch.arange(width, device=x.device), indexing="ij"
        )
        grid = torch.stack((xs, ys), 2).view(1, 1, height, width, 2).float()
        y = x.sigmoid()
        where = (y[..., 0:2] * 2 - 0.5 + grid) * stride
        size = (y[..., 2:4] * 2) ** 2 * (4.0 * stride)
        return torch.cat((where, size, y[..., 4:]), -1).view(batch, -1, 9)

    def forward(self, x):
        a = self.stem(x)
        b = self.down1(a)
        c = self.down2(b)
        c = c + self.pool(self.pool(c))
        b = self.lateral(torch.cat((b, self.up(c)), 1))
        return torch.cat([self.decode(h(f), s) for h, f, s in zip(self.heads, (a, b, c), (8, 16, 32))], 1)


@recipe
def yolo_head():
    return Recipe(settle(YoloHead(), picture(64)), {"input": picture(64)}, BATCH)


@recipe
def yolo_head_any_size():
    return Recipe(
        settle(YoloHead(), picture(64)),
        {"input": picture(64)},
        {"input": {0: "batch", 2: "height32", 3: "width32"}},
        ("script",),
    )


class DiffusionUNet(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * width))
        self.first = nn.Conv2d(4, width, 3, padding=1)
        self.norm1, self.conv1 = nn.GroupNorm(8, width), nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.norm2, self.conv2 = nn.GroupNorm(8, 2 * width), nn.Conv2d(2 * width, 2 * width, 3, 1, 1)
        self.norm3 = nn.GroupNorm(8, 2 * width)
        self.attention = nn.MultiheadAttention(2 * width, 4, batch_first=True)
        self.cross = nn.MultiheadAttention(2 * width, 4, batch_first=True, kdim=24, vdim=24)
        self.last = nn.Conv2d(3 * width, 4, 3, padding=1)

    def forward(self, x, steps, context):
        half = self.time[0].in_features // 2
        angles = steps[:, None].float() * torch.exp(-9.2 * torch.arange(half, dtype=torch.float32) / half)[None]
        t = self.time(torch.cat((angles.sin(), angles.cos()), -1))
        a = self.first(x)
        b = self.conv1(F.silu(self.norm1(a))) + t[:, :, None, None]
        b = b + self.conv2(F.silu(self.norm2(b)))
        n, c, h, w = b.shape
        s = self.norm3(b).flatten(2).transpose(1, 2)
        s = s + self.attention(s, s, s, need_weights=False)[0]
        s = s + self.cross(s, context, context, need_weights=False)[0]
        b = b + s.transpose(1, 2).reshape(n, c, h, w)
        return self.last(torch.cat((a, F.interpolate(b, scale_factor=2.0, mode="nearest")), 1))


@recipe
def diffusion_unet():
    inputs = {"input": picture(16, 4, 2), "steps": torch.tensor([3, 250]), "context": torch.randn(2, 7, 24)}
    return Recipe(DiffusionUNet(), inputs, {"input": {0: "batch"}, "steps": {0: "batch"}, "context": {0: "batch"}})


@recipe
def gan_generator():
    layers, channels = [], [24, 64, 48, 32]
    for i, o in zip(channels, channels[1:]):
        layers += [nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
    layers += [
        nn.ConvTranspose2d(32, 8, 3, 2, 1, output_padding=1, groups=4),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 3, 3, 1, 1),
        nn.Tanh(),
    ]
    return Recipe(settle(nn.Sequential(*layers), picture(2, 24, 2)), {"input": picture(2, 24)}, BATCH)


@recipe
def dilated_grouped():
    layers = [
        nn.Conv2d(3, 16, 3, padding=2, dilation=2),
        nn.PReLU(16),
        nn.Conv2d(16, 16, 5, padding=4, dilation=2, groups=16),
    ]
    layers += [
        nn.InstanceNorm2d(16, affine=True),
        nn.Hardswish(),
        nn.Conv2d(16, 24, (1, 7), padding=(0, 3), groups=4),
        nn.ELU(),
    ]
    layers += [
        nn.Conv2d(24, 12, 3, stride=(2, 1), padding=(0, 1)),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    ]
    layers += [
        nn.LocalResponseNorm(4),
        nn.Mish(),
        nn.AdaptiveAvgPool2d((2, 1)),
        nn.Flatten(),
        nn.Linear(24, 10),
        nn.LogSoftmax(1),
    ]
    return Recipe(nn.Sequential(*layers), {"input": picture(33)}, BATCH)


@recipe
def super_resolution():
    layers = [nn.ReflectionPad2d(2), nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 9, 3, padding=1), nn.PixelShuffle(3)]
    return Recipe(nn.Sequential(*layers), {"input": picture(20, 1)}, BATCH_SIZE)


class SpatialTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.where = nn.Sequential(
            nn.Conv2d(1, 8, 7, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(72, 6)
        )

    def forward(self, x):
        grid = F.affine_grid(self.where(x).view(-1, 2, 3), x.size(), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


@recipe
def spatial_transformer():
    return Recipe(SpatialTransformer(), {"input": picture(28, 1, 2)}, {}, ("script", "dynamo"), 20)


# ---- Sequences


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.table = nn.Embedding(100, 16)
        self.layers = kind(16, 24, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, ids):
        return self.head(self.layers(self.table(ids))[0])


def recurrent(name, kind):
    RECIPES[name] = lambda: Recipe(
        Recurrent(kind), {"input": torch.randint(0, 100, (2, 7))}, {"input": {0: "batch", 1: "seq"}}, ("script",)
    )


recurrent("lstm", nn.LSTM)
recurrent("gru", nn.GRU)
recurrent("rnn", nn.RNN)


@recipe
def crnn():
    """Text in pictures: convolutions, then an LSTM over the columns."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Sequential(
                nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU()
            )
            self.rnn = nn.LSTM(32 * 8, 32, bidirectional=True)
            self.head = nn.Linear(64, 37)

        def forward(self, x):
            f = self.conv(x)
            n, c, h, w = f.shape
            y, _ = self.rnn(f.permute(3, 0, 1, 2).reshape(w, n, c * h))
            return F.log_softmax(self.head(y), 2)

    return Recipe(Net(), {"input": torch.randn(1, 1, 32, 64)}, {"input": {0: "batch"}}, ("script",))


@recipe
def seq2seq_transformer():
    axes = {"source": {0: "batch", 1: "seq"}, "target": {0: "batch", 1: "seq2"}}
    inputs = {"source": torch.randn(2, 7, 32), "target": torch.randn(2, 5, 32)}
    return Recipe(nn.Transformer(32, 4, 1, 1, 64, batch_first=True), inputs, axes)


@recipe
def transformer_encoder():
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu", norm_first=True)
    return Recipe(nn.TransformerEncoder(layer, 2), {"input": torch.randn(2, 7, 32)}, {"input": {0: "batch", 1: "seq"}})


class Repeated(nn.Module):
    def forward(self, x, count: int):
        y = x
        for i in range(count):
            if i % 2 == 0:
                y = torch.tanh(y) * 2 + i
            else:
                y = torch.cat([y, x], 0)
        return y


@recipe
def scripted_loop():
    inputs = {"input": torch.randn(2, 8), "count": torch.tensor(3)}
    return Recipe(torch.jit.script(Repeated()), inputs, {"input": {0: "batch"}}, ("script",))


class Logits(nn.Module):
    """A model of transformers called with tensors in order."""

    def __init__(self, module, keys, outputs=("logits",), **options):
        super().__init__()
        self.module, self.keys, self.outputs, self.options = module, keys, outputs, options

    def forward(self, *inputs):
        out = self.module(**dict(zip(self.keys, inputs)), **self.options)
        return tuple(getattr(out, o) for o in self.outputs)


TOKENS = {"input_ids": {0: "batch", 1: "seq"}, "attention_mask": {0: "batch", 1: "seq"}}
SMALL = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}


def tokens(batch=2, length=9):
    return {
        "input_ids": torch.randint(3, 99, (batch, length)),
        "attention_mask": torch.ones(batch, length, dtype=torch.int64),
    }


ATTENTION = {}  # how attention is written: PyTorch's operator unless an old opset needs it in pieces


def text(name, config, auto, outputs=("logits",), exporters=("script", "dynamo"), **options):
    def make():
        settings = dict(SMALL, **options)
        made = getattr(transformers, config)(**settings)
        module = getattr(transformers, auto).from_config(made, **ATTENTION)
        extra = {"use_cache": False} if auto == "AutoModelForCausalLM" else {}
        return Recipe(Logits(module, ("input_ids", "attention_mask"), outputs, **extra), tokens(), TOKENS, exporters)

    RECIPES[name] = make


GQA = {"num_key_value_heads": 2}
for row in (
    (
        "distilbert",
        "DistilBertConfig",
        "AutoModelForMaskedLM",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    ),
    ("roberta", "RobertaConfig", "AutoModelForSequenceClassification", {}),
    ("albert", "AlbertConfig", "AutoModelForMaskedLM", {"embedding_size": 16}),
    ("electra", "ElectraConfig", "AutoModelForTokenClassification", {"embedding_size": 16}),
    ("mpnet", "MPNetConfig", "AutoModelForMaskedLM", {}),
    (
        "deberta_v2",
        "DebertaV2Config",
        "AutoModelForMaskedLM",
        {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    ("modernbert", "ModernBertConfig", "AutoModelForMaskedLM", {"global_attn_every_n_layers": 2, "local_attention": 8}),
    ("llama", "LlamaConfig", "AutoModelForCausalLM", GQA),
    ("qwen2", "Qwen2Config", "AutoModelForCausalLM", GQA),
    ("qwen3", "Qwen3Config", "AutoModelForCausalLM", dict(GQA, head_dim=8)),
    ("mistral", "MistralConfig", "AutoModelForCausalLM", dict(GQA, sliding_window=4)),
    ("gemma", "GemmaConfig", "AutoModelForCausalLM", dict(GQA, head_dim=8)),
    (
        "gemma2",
        "Gemma2Config",
        "AutoModelForCausalLM",
        dict(GQA, head_dim=8, sliding_window=4, query_pre_attn_scalar=8),
    ),
    ("phi", "PhiConfig", "AutoModelForCausalLM", {}),
    ("phi3", "Phi3Config", "AutoModelForCausalLM", GQA),
    ("opt", "OPTConfig", "AutoModelForCausalLM", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    ("gpt_neox", "GPTNeoXConfig", "AutoModelForCausalLM", {}),
    ("bloom", "BloomConfig", "AutoModelForCausalLM", {"n_head": 4, "n_layer": 2}),
    ("falcon", "FalconConfig", "AutoModelForCausalLM", {}),
    ("mixtral", "MixtralConfig", "AutoModelForCausalLM", dict(GQA, num_local_experts=4)),
    ("mamba", "MambaConfig", "AutoModelForCausalLM", {"state_size": 4}),
    ("gptj", "GPTJConfig", "AutoModelForCausalLM", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    ("codegen", "CodeGenConfig", "AutoModelForCausalLM", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    ("gpt_bigcode", "GPTBigCodeConfig", "AutoModelForCausalLM", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    (
        "gpt_neo",
        "GPTNeoConfig",
        "AutoModelForCausalLM",
        {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 4},
    ),
    ("mpt", "MptConfig", "AutoModelForCausalLM", {"d_model": 32, "n_heads": 4, "n_layers": 2}),
    (
        "gemma3",
        "Gemma3TextConfig",
        "AutoModelForCausalLM",
        dict(GQA, head_dim=8, sliding_window=4, query_pre_attn_scalar=8),
    ),
    ("cohere", "CohereConfig", "AutoModelForCausalLM", GQA),
    ("cohere2", "Cohere2Config", "AutoModelForCausalLM", dict(GQA, sliding_window=4)),
    ("olmo2", "Olmo2Config", "AutoModelForCausalLM", GQA),
    ("starcoder2", "Starcoder2Config", "AutoModelForCausalLM", GQA),
    ("stablelm", "StableLmConfig", "AutoModelForCausalLM", GQA),
    ("granite", "GraniteConfig", "AutoModelForCausalLM", GQA),
    ("glm", "GlmConfig", "AutoModelForCausalLM", dict(GQA, head_dim=8)),
    ("smollm3", "SmolLM3Config", "AutoModelForCausalLM", GQA),
    ("nemotron", "NemotronConfig", "AutoModelForCausalLM", GQA),
    ("persimmon", "PersimmonConfig", "AutoModelForCausalLM", {}),
):
    text(*row[:3], **row[3])


class CachedDecoder(nn.Module):
    """One step of generation: the cache comes in and goes out as tensors."""

    def __init__(self, module, layers):
        super().__init__()
        self.module, self.layers = module, layers

    def forward(self, input_ids, attention_mask, *past):
        cache = transformers.DynamicCache()
        for i in range(self.layers):
            cache.update(past[2 * i], past[2 * i + 1], i)
        out = self.module(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        kept = [t for layer in out.past_key_values.layers for t in (layer.keys, layer.values)]
        return (out.logits, *kept)


@recipe
def llama_cached():
    module = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**SMALL, **GQA))
    inputs = {"input_ids": torch.randint(3, 99, (2, 1)), "attention_mask": torch.ones(2, 6, dtype=torch.int64)}
    inputs.update({f"past_{i}": torch.randn(2, 2, 5, 8) for i in range(4)})
    axes = {"input_ids": {0: "batch"}, "attention_mask": {0: "batch", 1: "seq+1"}}
    axes.update({f"past_{i}": {0: "batch", 2: "seq"} for i in range(4)})
    return Recipe(CachedDecoder(module, 2), inputs, axes, ("script",))


def translation(name, config, auto, **options):
    def make():
        made = getattr(transformers, config)(**options, **ATTENTION)
        module = getattr(transformers, auto)(made)
        inputs = {"input_ids": torch.randint(3, 99, (2, 9)), "decoder_input_ids": torch.randint(3, 99, (2, 5))}
        axes = {"input_ids": {0: "batch", 1: "seq"}, "decoder_input_ids": {0: "batch", 1: "seq2"}}
        return Recipe(Logits(module, tuple(inputs), use_cache=False), inputs, axes)

    RECIPES[name] = make


HALVES = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
HALVES.update({"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "init_std": 0.2})
translation(
    "t5",
    "T5Config",
    "T5ForConditionalGeneration",
    vocab_size=99,
    d_model=32,
    d_kv=8,
    d_ff=64,
    num_layers=2,
    num_heads=4,
    decoder_start_token_id=0,
)
translation("bart", "BartConfig", "BartForConditionalGeneration", vocab_size=99, max_position_embeddings=64, **HALVES)
translation(
    "marian", "MarianConfig", "MarianMTModel", vocab_size=99, pad_token_id=0, max_position_embeddings=64, **HALVES
)


@recipe
def whisper_encoder():
    config = transformers.WhisperConfig(
        num_mel_bins=16, max_source_positions=50, vocab_size=99, pad_token_id=0, **HALVES
    )
    module = transformers.WhisperModel(config).get_encoder()
    inputs = {"input_features": torch.randn(1, 16, 100)}
    return Recipe(Logits(module, tuple(inputs), ("last_hidden_state",)), inputs, {"input_features": {0: "batch"}})


@recipe
def wav2vec2():
    config = transformers.Wav2Vec2Config(
        conv_dim=(16, 16, 16),
        conv_kernel=(10, 3, 2),
        conv_stride=(5, 2, 2),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        num_feat_extract_layers=3,
        **{k: v for k, v in SMALL.items() if k != "max_position_embeddings"},
    )
    inputs = {"input_values": torch.randn(1, 1200)}
    return Recipe(
        Logits(transformers.Wav2Vec2ForCTC(config), tuple(inputs)), inputs, {"input_values": {0: "batch", 1: "length"}}
    )


@recipe
def clip():
    small = {k: SMALL[k] for k in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")}
    config = transformers.CLIPConfig(
        text_config=dict(
            small, vocab_size=99, max_position_embeddings=16, eos_token_id=98, bos_token_id=97, pad_token_id=0
        ),
        vision_config=dict(small, image_size=32, patch_size=8),
        projection_dim=24,
    )
    module = Logits(
        transformers.CLIPModel(config),
        ("input_ids", "pixel_values", "attention_mask"),
        ("logits_per_image", "text_embeds"),
    )
    inputs = {
        "input_ids": torch.randint(3, 99, (2, 9)),
        "pixel_values": picture(32),
        "attention_mask": tokens()["attention_mask"],
    }
    return Recipe(module, inputs, dict(TOKENS, pixel_values={0: "images"}))


@recipe
def segformer():
    config = transformers.SegformerConfig(
        hidden_sizes=[16, 24, 32, 48],
        num_attention_heads=[1, 2, 2, 4],
        depths=[1, 1, 1, 1],
        decoder_hidden_size=32,
        num_labels=5,
    )
    return Recipe(
        Logits(transformers.SegformerForSemanticSegmentation(config), ("pixel_values",)), {"input": picture(64)}, BATCH
    )


@recipe
def detr():
    config = transformers.DetrConfig(
        use_timm_backbone=True,
        backbone="resnet18",
        use_pretrained_backbone=False,
        num_queries=9,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_labels=6,
    )
    module = Logits(transformers.DetrForObjectDetection(config), ("pixel_values",), ("logits", "pred_boxes"))
    return Recipe(module, {"input": picture(96)}, {}, ("dynamo", "script"))


@recipe
def dinov2():
    config = transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=56,
        patch_size=14,
        initializer_range=0.2,
        use_swiglu_ffn=True,
    )
    return Recipe(
        Logits(transformers.Dinov2Model(config), ("pixel_values",), ("last_hidden_state",)),
        {"input": picture(56)},
        BATCH,
    )


@recipe
def click_rates():
    """Sparse features as bags of embeddings, dense ones beside them: an exporter writes each bag as a loop."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.bags = nn.ModuleList(nn.EmbeddingBag(100, 16, mode=m) for m in ("sum", "mean", "sum"))
            self.dense = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 16))
            self.top = nn.Sequential(nn.Linear(16 + 6, 32), nn.ReLU(), nn.Linear(32, 1))

        def forward(self, x, a, b, c):
            dense = self.dense(x)
            features = torch.stack([dense] + [bag(ids) for bag, ids in zip(self.bags, (a, b, c))], 1)
            rows, columns = torch.tril_indices(4, 4, -1)
            products = torch.bmm(features, features.transpose(1, 2))[:, rows, columns]
            return torch.sigmoid(self.top(torch.cat([dense, products], 1)))

    inputs = {"input": torch.randn(2, 13)}
    inputs.update({name: torch.randint(3, 99, (2, 4)) for name in "abc"})
    axes = {"input": {0: "batch"}}
    axes.update({name: {0: "batch", 1: "bag"} for name in "abc"})
    return Recipe(Net(), inputs, axes)


@recipe
def spectrogram():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(17, 8)

        def forward(self, x):
            y = torch.stft(x, 32, 8, 32, torch.hann_window(32), center=True, pad_mode="reflect", return_complex=False)
            return self.head(torch.log((y**2).sum(-1) + 1e-5).transpose(1, 2))

    return Recipe(Net(), {"input": torch.randn(2, 256)}, {"input": {0: "batch"}}, ("script",))


@recipe
def indexing():
    """Operators that programs reach for between layers, and whose output sizes data decide."""

    class Net(nn.Module):
        def forward(self, x):
            m = x > 0
            b = torch.where(m, x, -x)
            values, order = torch.topk(b.flatten(), 3)
            rows = torch.nonzero(m)
            e = x.new_zeros(x.shape)
            e[:, 1] = 1
            return (
                x[m],
                values,
                order,
                rows,
                torch.cumsum(x, 1),
                e,
                torch.einsum("ij,kj->ik", x, x),
                torch.triu(x),
                x.std(1),
                F.interpolate(x[None, None], scale_factor=1.5, mode="bicubic"),
                F.pad(x, (1, 2), value=3.0),
                x.var(0, unbiased=False),
                torch.argsort(x, 1),
                torch.logsumexp(x, 1),
                x.round(),
                torch.roll(x, 1, 0),
                x.expand(2, *x.shape),
                torch.stack([x, x]),
                torch.chunk(x, 2, 1)[0],
                x.masked_fill(m, 0.0),
                torch.gather(x, 1, torch.zeros(4, 2, dtype=torch.long)),
                torch.scatter(x, 1, torch.zeros(4, 1, dtype=torch.long), 5.0),
                torch.unique(rows),
            )

    return Recipe(Net(), {"input": torch.randn(4, 6)}, {})


# ---- Older opsets, halves, integers: made from other recipes


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


# ---- Exporting

SIZES = {
    "batch": (2, 3),
    "seq": (9, 6),
    "seq2": (5, 8),
    "height": (64, 96),
    "width": (64, 80),
    "height32": (64, 96),
    "width32": (64, 160),
}
SIZES.update({"images": (1, 3), "length": (1200, 1777), "seq+1": (10, 7), "bag": (4, 7)})


def export_script(made, path):
    # Tracing folds tests of sizes away, so that sizes of one are not what it should see.
    torch.onnx.export(
        made.module,
        tuple(made.inputs.values()),
        path,
        input_names=list(made.inputs),
        dynamic_axes=made.axes,
        opset_version=made.opset or 17,
        dynamo=False,
    )


def export_dynamo(made, path):
    shapes = []
    for name, value in made.inputs.items():
        axes = made.axes.get(name, {})
        shapes.append({k: torch.export.Dim.DYNAMIC for k in axes} if axes else None)
        if axes and value.shape[0] == 1:
            made.inputs[name] = torch.cat([value, value])
    variadic = isinstance(made.module, (Logits, Outputs))
    torch.onnx.export(
        made.module,
        tuple(made.inputs.values()),
        path,
        input_names=list(made.inputs),
        dynamic_shapes=((tuple(shapes),) if variadic else tuple(shapes)) if made.axes else None,
        opset_version=made.opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


EXPORTERS = {"script": export_script, "dynamo": export_dynamo}


def make_recipe(name):
    torch.manual_seed(0)
    transformers.set_seed(0)
    return RECIPES[name]()


def export(name, exporter, folder):
    """The model's path; made once."""
    path = os.path.join(folder, f"{name}.{exporter}.onnx")
    failed = path + ".failed"
    if os.path.exists(failed):
        with open(failed, encoding="utf-8") as file:
            raise RuntimeError(file.read())
    if os.path.exists(path):
        return path
    try:
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            EXPORTERS[exporter](make_recipe(name), path + ".part")
        os.rename(path + ".part", path)
    except Exception as reason:  # whatever an exporter may raise
        message = f"not exported: {' '.join(str(reason).split())[:200]}"
        with open(failed, "w", encoding="utf-8") as file:
            file.write(message)
        raise RuntimeError(message) from reason
    return path


def derive(name, folder):
    made_from, change, kind, _ = DERIVED[name]
    source = export(made_from, "script", folder)
    path = os.path.join(folder, f"{name}.onnx")
    if not os.path.exists(path):
        change(source, path, make_recipe(made_from), kind)
    return path


# ---- Comparing


def like(tensor, generator):
    """Another value of the same kind and shape."""
    value = tensor.numpy() if isinstance(tensor, torch.Tensor) else tensor
    if value.dtype == np.bool_ or (value.size and value.dtype != np.float32 and (value == 1).all()):
        return value
    if np.issubdtype(value.dtype, np.floating):
        return generator.standard_normal(value.shape).astype(value.dtype)
    return generator.integers(3, 99, value.shape).astype(value.dtype) if value.ndim else value


class Network:
    def __init__(self, path, inputs):
        self.path, self.model = path, onnx.load(path, load_external_data=False)
        constants = {t.name for t in self.model.graph.initializer}
        self.inputs = [i for i in self.model.graph.input if i.name not in constants]
        self.outputs = [o.name for o in self.model.graph.output]
        self.examples = inputs
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def shape(self, info, axes, case):
        dims = info.type.tensor_type.shape.dim
        named = axes.get(info.name, {})
        example = self.examples[info.name].shape if info.name in self.examples else ()
        return [
            (
                SIZES[named[k]][case]
                if k in named and not d.HasField("dim_value")
                else d.dim_value or (example[k] if k < len(example) else 2)
            )
            for k, d in enumerate(dims)
        ]

    def feed(self, axes, case):
        generator = np.random.default_rng(case + 1)
        feed = {}
        for info in self.inputs:
            kind = NUMPY_TYPES[info.type.tensor_type.elem_type]
            shape = self.shape(info, axes, case)
            if np.issubdtype(kind, np.floating):
                feed[info.name] = generator.standard_normal(shape).astype(kind)
            elif "mask" in info.name:
                mask = np.ones(shape, kind)
                mask[0, : shape[1] // 4] = 0
                feed[info.name] = mask
            elif shape:
                feed[info.name] = generator.integers(3, 99, shape).astype(kind)
            else:
                feed[info.name] = np.array(3, kind)
        return feed


def call(*command, seconds=300):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(f"{command[1]}: not done after {seconds} s") from late
    if done.returncode:
        raise RuntimeError(
            f"{command[1]}: {(done.stderr.strip() or done.stdout.strip())[-400:]} (exit code {done.returncode})"
        )
    return done.stdout


def build(options, network, feeds, plan):
    command = [options.planfarm, "build", network.path, "-o", plan, "--effort", "0", *options.build_option]
    if any(not d.HasField("dim_value") for i in network.inputs for d in i.type.tensor_type.shape.dim):
        for flag, pick in (("--min-shapes", min), ("--opt-shapes", lambda sizes: sizes[0]), ("--max-shapes", max)):
            parts = [
                f"{name}:{'x'.join(str(pick([f[name].shape[k] for f in feeds])) for k in range(value.ndim))}"
                for name, value in feeds[0].items()
                if value.ndim
            ]
            command += [flag, ",".join(parts)]
    started = time.monotonic()
    call(*command)
    return time.monotonic() - started


def run(options, network, plan, feed, folder):
    command = [options.planfarm, "run", plan, "--output-dir", folder]
    for position, (name, value) in enumerate(feed.items()):
        path = os.path.join(folder, f"in{position}.npy")
        np.save(path, value)
        command += ["--input", f"{name}={path}"]
    call(*command)
    return [np.load(os.path.join(folder, name.replace("/", "_") + ".npy")) for name in network.outputs]


def apart(test, reference):
    """The largest difference relative to the reference's range."""
    if test.shape != reference.shape:
        return float("inf")
    if not reference.size:
        return 0.0
    a, b = test.astype(np.float64), reference.astype(np.float64)
    if not (np.isfinite(a) == np.isfinite(b)).all():
        return float("inf")
    a, b = np.where(np.isfinite(b), a, 0), np.where(np.isfinite(b), b, 0)
    size = b.max() - b.min() or np.abs(b).max() or 1.0
    return float(np.abs(a - b).max() / size)


def exact_outputs(made, feed):
    """The module's outputs in FP64; None when it has none (scripted, or with types of its own)."""
    try:
        tensors = [torch.tensor(v) for v in feed.values()]
        with torch.no_grad():
            out = made.module.double()(*(t.double() if t.is_floating_point() else t for t in tensors))
        return [t.numpy() for t in (out if isinstance(out, tuple) else (out,))]
    except Exception:  # whatever a module may raise
        return None


def worst_of(got, want):
    return max(apart(g, w) for g, w in zip(got, want))


def own_noise(network, feed, want):
    """How far ONNX Runtime is from itself with all optimizations, and with inputs that are off by a millionth."""
    everything = onnxruntime.SessionOptions()
    everything.log_severity_level = 4
    session = onnxruntime.InferenceSession(network.path, everything, providers=["CPUExecutionProvider"])
    most = worst_of(session.run(None, feed), want)
    for seed in range(4):
        generator = np.random.default_rng(seed)
        moved = {
            k: (v * (1 + 1e-6 * generator.standard_normal(v.shape))).astype(v.dtype) if v.dtype == np.float32 else v
            for k, v in feed.items()
        }
        most = max(most, worst_of(network.session.run(None, moved), want))
    return most


def judge(network, made, limit, feed, got, want):
    """The error, whether it may be that large, and what is to be said of it. Where ONNX Runtime differs, PyTorch in
    FP64 says who is right; a network made from another (quantized) has no judge but ONNX Runtime's own noise."""
    error = worst_of(got, want)
    if error <= limit:
        return error, True, ""
    if not made:
        noise = own_noise(network, feed, want)
        return error, error <= 2 * noise, f"ONNX Runtime is {noise:.1e} from itself"
    exact = exact_outputs(made, feed)
    if not exact or len(exact) != len(got):
        return error, False, ""
    error = worst_of(got, exact)
    said = f"against PyTorch in FP64, which ONNX Runtime is {worst_of(want, exact):.1e} from"
    return error, error <= limit, said


def compare(options, path, made, limit, derived):
    network = Network(path, made.inputs)
    dynamic = any(not d.HasField("dim_value") for i in network.inputs for d in i.type.tensor_type.shape.dim)
    feeds = [network.feed(made.axes, case) for case in range(2 if dynamic else 1)]
    wanted = wanted_outputs(network, feeds)
    with tempfile.TemporaryDirectory() as folder:
        plan = os.path.join(folder, "network.plan")
        seconds = build(options, network, feeds, plan)
        worst, right, remark = 0.0, True, ""
        for feed, want in zip(feeds, wanted):
            got = run(options, network, plan, feed, folder)
            error, good, said = judge(network, None if derived else made, limit, feed, got, want)
            worst, right, remark = max(worst, error), right and good, remark or said
    return seconds, worst, right, remark


def jobs(options):
    for name in RECIPES:
        for exporter in options.exporter or ("script", "dynamo"):
            yield f"{name}.{exporter}", name, lambda n=name, e=exporter: export(n, e, options.folder), None
    for name, (made_from, _, _, limit) in DERIVED.items():
        yield name, made_from, lambda n=name: derive(n, options.folder), limit


class NoAnswer(Exception):
    """There is nothing to compare with."""


def wanted_outputs(network, feeds):
    try:
        wanted = [network.session.run(None, f) for f in feeds]
    except Exception as reason:  # ONNX Runtime has several kinds
        raise NoAnswer(f"ONNX Runtime: {reason}") from reason
    if not any(w.size and w.max() > w.min() for want in wanted for w in want):
        raise NoAnswer("the outputs are empty or constant")
    return wanted


def check(options, name, recipe_name, make, limit):
    exporter = name.rsplit(".", 1)[-1]
    try:
        made = make_recipe(recipe_name)
        if exporter in EXPORTERS and exporter not in made.exporters:
            return "", None, None, ""
        path = make()
    except Exception as reason:  # whatever an exporter may raise
        return "left out", None, None, " ".join(str(reason).split())[:200]
    if options.export_only:
        return "exported", None, None, ""
    limit = options.limit or LIMITS[limit or made.limit]
    try:
        seconds, error, right, remark = compare(options, path, made, limit, name in DERIVED)
    except NoAnswer as reason:
        return "left out", None, None, " ".join(str(reason).split())[:200]
    except Exception as reason:  # the row says which
        return "FAILED", None, None, " ".join(str(reason).split()).replace(path, "MODEL")[:600]
    status = "FAILED" if not right else "slow" if seconds > SLOW_SECONDS else "ok"
    return status, seconds, error, remark


def versions():
    packages = (torch, torchvision, timm, transformers, onnx, onnxruntime)
    return ", ".join(f"{p.__name__} {p.__version__}" for p in packages)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--planfarm", default="build/planfarm", help="the program to test")
    parser.add_argument("--folder", default="build/zoo", help="where exported models are kept")
    parser.add_argument("--exporter", action="append", choices=list(EXPORTERS))
    parser.add_argument("--build-option", action="append", default=[], help="for planfarm build; may be repeated")
    parser.add_argument("--limit", type=float, help="instead of the limits of each network")
    parser.add_argument("--table", help="where to write the results in Markdown")
    parser.add_argument("--export-only", action="store_true")
    parser.add_argument("--list", action="store_true", help="print the names and do nothing")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="part of a name, or a regular expression")
    options = parser.parse_args()
    torch.set_num_threads(2)
    os.makedirs(options.folder, exist_ok=True)
    rows = []
    for name, recipe_name, make, limit in jobs(options):
        if options.patterns and not any(re.search(p, name) for p in options.patterns):
            continue
        if options.list:
            print(name)
            continue
        status, seconds, error, remark = check(options, name, recipe_name, make, limit)
        if not status:
            continue
        figures = f"{seconds:6.1f} s  {error:.2g}  " if seconds is not None else ""
        print(f"{status:8} {name:48} {figures}{remark}", flush=True)
        rows.append((name, status, seconds, error, remark))
    if options.table:
        write_table(options.table, rows)
    sys.exit(1 if any(r[1] in ("FAILED", "slow") for r in rows) else 0)


def write_table(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d')}; {versions()}.\n\n")
        file.write("| network | result | build, s | error | remark |\n| --- | --- | --- | --- | --- |\n")
        for name, status, seconds, error, remark in rows:
            figures = (f"{seconds:.1f}", f"{error:.1e}") if seconds is not None else ("", "")
            file.write(f"| {name} | {status} | {figures[0]} | {figures[1]} | {remark.replace('|', '/')} |\n")


if __name__ == "__main__":
    main()
