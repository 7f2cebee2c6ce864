"""Networks at the sizes at which they are used, for gpu_zoo.py: what is most used comes first.

NETWORKS maps a name to a function of the batch that gives a Recipe (tests/models/zoo_recipe.py) with fixed shapes.  Weights are seeded and random;
those of image networks are scaled so that activations keep their size (settle), since untrained ones without statistics let them grow or vanish.
"""
import os, sys

import torch
import torchvision
import transformers
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
from zoo_images import DiffusionUNet, YoloHead
from zoo_recipe import Outputs, Recipe, picture, settle
from zoo_sequences import Logits

NETWORKS = {}


def network(function):
    NETWORKS[function.__name__] = function
    return function


# ---- Images

def vision(name, size=224, **options):
    def make(batch):
        module = torchvision.models.get_model(name, weights=None, **options)
        return Recipe(settle(module, picture(size)), {"input": picture(size, 3, batch)})
    NETWORKS[name] = make


def dense(name, size, family="segmentation"):
    def make(batch):
        module = getattr(getattr(torchvision.models, family), name)(weights=None, weights_backbone=None)
        return Recipe(settle(Outputs(module, "out"), picture(size)), {"input": picture(size, 3, batch)})
    NETWORKS[name] = make


def timm_model(name, size, **options):
    def make(batch):
        import timm
        module = timm.create_model(name, pretrained=False, exportable=True, **options)
        return Recipe(settle(module, picture(size)), {"input": picture(size, 3, batch)})
    NETWORKS[name] = make


# ---- Sequences

def text(name, config, auto, outputs=("logits",), length=128, **options):
    def make(batch):
        made = getattr(transformers, config)(**options)
        module = getattr(transformers, auto).from_config(made)
        extra = {"use_cache": False} if auto == "AutoModelForCausalLM" else {}
        ids = torch.randint(3, made.vocab_size, (batch, length))
        inputs = {"input_ids": ids, "attention_mask": torch.ones(batch, length, dtype=torch.int64)}
        return Recipe(Logits(module, tuple(inputs), outputs, **extra), inputs)
    NETWORKS[name] = make


class Encoder(nn.Module):
    """The encoder of a network of two halves, as a network."""
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, value):
        return self.module(value).last_hidden_state


class Recurrent(nn.Module):
    """Speech: two convolutions over a spectrogram, recurrent layers, letters."""
    def __init__(self, kind, width=512, layers=3):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 32, (11, 11), (2, 2), (5, 5), bias=False), nn.BatchNorm2d(32), nn.Hardtanh(0, 20),
                                  nn.Conv2d(32, 32, (11, 11), (2, 1), (5, 5), bias=False), nn.BatchNorm2d(32), nn.Hardtanh(0, 20))
        self.layers = kind(32 * 20, width, num_layers=layers, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * width, 29)

    def forward(self, x):
        f = self.conv(x)
        n, c, h, w = f.shape
        return F.log_softmax(self.head(self.layers(f.permute(0, 3, 1, 2).reshape(n, w, c * h))[0]), -1)


def speech(name, kind):
    NETWORKS[name] = lambda batch: Recipe(Recurrent(kind), {"input": torch.randn(batch, 1, 80, 200)})


class Recommender(nn.Module):
    """Dense features beside embeddings of sparse ones, products of all pairs, as DLRM does."""
    def __init__(self, tables=26, rows=20000, width=64):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(tables))
        self.bottom = nn.Sequential(nn.Linear(13, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, width), nn.ReLU())
        pairs = torch.tril_indices(tables + 1, tables + 1, -1)
        self.register_buffer("pairs", pairs[0] * (tables + 1) + pairs[1])
        self.top = nn.Sequential(nn.Linear(width + pairs.shape[1], 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 1), nn.Sigmoid())

    def forward(self, dense, sparse):
        bottom = self.bottom(dense)
        features = torch.stack([bottom] + [table(sparse[:, i]) for i, table in enumerate(self.tables)], 1)
        products = torch.bmm(features, features.transpose(1, 2)).flatten(1)[:, self.pairs]
        return self.top(torch.cat([bottom, products], 1))


class SuperResolution(nn.Module):
    """EDSR's baseline: sixteen residual blocks of 64 channels, then twice the size."""
    def __init__(self, width=64, blocks=16):
        super().__init__()
        conv = lambda i, o: nn.Conv2d(i, o, 3, padding=1)
        self.head = conv(3, width)
        self.body = nn.ModuleList(nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width)) for _ in range(blocks))
        self.after, self.up, self.tail = conv(width, width), nn.Sequential(conv(width, 4 * width), nn.PixelShuffle(2)), conv(width, 3)

    def forward(self, x):
        y = first = self.head(x)
        for block in self.body:
            y = y + block(y)
        return self.tail(self.up(first + self.after(y)))


class Mixer(nn.Module):
    def __init__(self, width=768, depth=12, tokens=196):
        super().__init__()
        mlp = lambda i, hidden: nn.Sequential(nn.Linear(i, hidden), nn.GELU(), nn.Linear(hidden, i))
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth + 1))
        self.over_tokens = nn.ModuleList(mlp(tokens, width // 2) for _ in range(depth))
        self.over_channels = nn.ModuleList(mlp(width, 4 * width) for _ in range(depth))
        self.head = nn.Linear(width, 1000)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        for i, (tokens, channels) in enumerate(zip(self.over_tokens, self.over_channels)):
            x = x + tokens(self.norms[2 * i](x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(self.norms[2 * i + 1](x))
        return self.head(self.norms[-1](x).mean(1))


class PatchUNet(nn.Module):
    """Segmentation of medical images: double convolutions, transposed ones upwards, skipped values joined."""
    def __init__(self, width=64):
        super().__init__()
        block = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                                           nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        sizes = [width << k for k in range(5)]
        self.down = nn.ModuleList(block(i, o) for i, o in zip([3] + sizes, sizes))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * o, o, 2, 2) for o in sizes[3::-1])
        self.join = nn.ModuleList(block(2 * o, o) for o in sizes[3::-1])
        self.last = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        kept = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if kept else x)
            kept.append(x)
        for up, join, skipped in zip(self.up, self.join, kept[3::-1]):
            x = join(torch.cat([skipped, up(x)], 1))
        return self.last(x)


# ---- The list

vision("resnet18")
text("distilbert", "DistilBertConfig", "AutoModel", ("last_hidden_state",))
text("roberta_base", "RobertaConfig", "AutoModel", ("last_hidden_state",))
vision("densenet121")
vision("convnext_tiny")
vision("swin_t")
text("qwen2", "Qwen2Config", "AutoModelForCausalLM", hidden_size=896, intermediate_size=4864, num_hidden_layers=4, num_attention_heads=14,
     num_key_value_heads=2, vocab_size=32000)


@network
def yolo(batch):
    return Recipe(settle(YoloHead(), picture(640)), {"input": picture(640, 3, batch)})


vision("mobilenet_v2")
vision("inception_v3", 299, aux_logits=False, init_weights=False)
vision("efficientnet_v2_s")


@network
def t5_encoder(batch):
    return Recipe(Encoder(transformers.T5EncoderModel(transformers.T5Config())), {"input_ids": torch.randint(3, 32000, (batch, 128))})


@network
def clip(batch):
    module = Logits(transformers.CLIPModel(transformers.CLIPConfig()), ("input_ids", "pixel_values", "attention_mask"), ("logits_per_image", "text_embeds"))
    ids = torch.randint(3, 40000, (batch, 77))
    return Recipe(module, {"input_ids": ids, "pixel_values": picture(224, 3, batch), "attention_mask": torch.ones_like(ids)})


@network
def whisper_tiny_encoder(batch):
    module = transformers.WhisperModel(transformers.WhisperConfig()).get_encoder()
    return Recipe(Encoder(module), {"input_features": torch.randn(batch, 80, 3000)})


@network
def wav2vec2(batch):
    return Recipe(Logits(transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config()), ("input_values",)), {"input_values": torch.randn(batch, 32000)})


text("mistral", "MistralConfig", "AutoModelForCausalLM", hidden_size=4096, intermediate_size=14336, num_hidden_layers=1, num_attention_heads=32,
     num_key_value_heads=8, vocab_size=8000)
text("gemma", "GemmaConfig", "AutoModelForCausalLM", hidden_size=2048, intermediate_size=16384, num_hidden_layers=2, num_attention_heads=8,
     num_key_value_heads=1, head_dim=256, vocab_size=32000)
text("pythia", "GPTNeoXConfig", "AutoModelForCausalLM", hidden_size=768, intermediate_size=3072, num_hidden_layers=6, num_attention_heads=12,
     vocab_size=50304)
text("opt", "OPTConfig", "AutoModelForCausalLM", num_hidden_layers=6, vocab_size=50272)
vision("vgg16")
vision("regnet_y_400mf")
vision("shufflenet_v2_x1_0")


@network
def diffusion_unet(batch):
    inputs = {"input": picture(64, 4, batch), "steps": torch.full((batch,), 250), "context": torch.randn(batch, 77, 24)}
    return Recipe(settle(DiffusionUNet(320), *inputs.values()), inputs)


@network
def segmenting_unet(batch):
    return Recipe(settle(PatchUNet(), picture(256)), {"input": picture(256, 3, batch)})


@network
def segformer(batch):
    module = Logits(transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig()), ("pixel_values",))
    return Recipe(module, {"pixel_values": picture(512, 3, batch)})


@network
def detr(batch):
    config = transformers.DetrConfig(use_timm_backbone=True, backbone="resnet50", use_pretrained_backbone=False)
    module = Logits(transformers.DetrForObjectDetection(config), ("pixel_values",), ("logits", "pred_boxes"))
    inputs = {"pixel_values": picture(480, 3, batch)}
    return Recipe(settle(module, *inputs.values()), inputs)


@network
def dinov2(batch):
    module = transformers.Dinov2Model(transformers.Dinov2Config(image_size=224, patch_size=14))
    return Recipe(Logits(module, ("pixel_values",), ("last_hidden_state",)), {"pixel_values": picture(224, 3, batch)})


@network
def bart(batch):
    config = transformers.BartConfig(d_model=768, encoder_layers=6, decoder_layers=6, encoder_ffn_dim=3072, decoder_ffn_dim=3072,
                                     encoder_attention_heads=12, decoder_attention_heads=12)
    module = transformers.BartForConditionalGeneration(config)
    inputs = {"input_ids": torch.randint(3, 50000, (batch, 128)), "decoder_input_ids": torch.randint(3, 50000, (batch, 32))}
    return Recipe(Logits(module, tuple(inputs), use_cache=False), inputs)


text("deberta", "DebertaV2Config", "AutoModel", ("last_hidden_state",), hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
     intermediate_size=3072, relative_attention=True, position_buckets=256, pos_att_type=["p2c", "c2p"], vocab_size=50000, share_att_key=True,
     norm_rel_ebd="layer_norm", max_relative_positions=-1)
text("electra", "ElectraConfig", "AutoModel", ("last_hidden_state",))
text("albert", "AlbertConfig", "AutoModel", ("last_hidden_state",), hidden_size=768, num_attention_heads=12, intermediate_size=3072)
text("mobilebert", "MobileBertConfig", "AutoModel", ("last_hidden_state",))
text("convbert", "ConvBertConfig", "AutoModel", ("last_hidden_state",))
text("modernbert", "ModernBertConfig", "AutoModel", ("last_hidden_state",))
text("gpt_neo", "GPTNeoConfig", "AutoModelForCausalLM", hidden_size=768, num_layers=6, num_heads=12, attention_types=[[["global", "local"], 3]])
text("bloom", "BloomConfig", "AutoModelForCausalLM", hidden_size=1024, n_layer=6, n_head=16, vocab_size=50000)
text("phi", "PhiConfig", "AutoModelForCausalLM", hidden_size=2048, num_hidden_layers=3, num_attention_heads=32, intermediate_size=8192, vocab_size=32000)
vision("resnext50_32x4d")
vision("wide_resnet50_2")
vision("googlenet", aux_logits=False, init_weights=False)
vision("squeezenet1_1")
vision("mnasnet1_0")
vision("alexnet")
vision("maxvit_t")
dense("lraspp_mobilenet_v3_large", 320)
dense("fcn_resnet50", 320)
dense("deeplabv3_mobilenet_v3_large", 320)


@network
def mixer(batch):
    return Recipe(settle(Mixer(), picture(224)), {"input": picture(224, 3, batch)})


@network
def super_resolution(batch):
    return Recipe(settle(SuperResolution(), picture(128)), {"input": picture(128, 3, batch)})


@network
def gan_generator(batch):
    layers, channels = [], [100, 512, 256, 128, 64]
    for k, (i, o) in enumerate(zip(channels, channels[1:])):
        layers += [nn.ConvTranspose2d(i, o, 4, 2 if k else 1, 1 if k else 0, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
    layers += [nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return Recipe(settle(nn.Sequential(*layers), picture(1, 100, 2)), {"input": picture(1, 100, batch)})


@network
def recommender(batch):
    return Recipe(Recommender(), {"dense": torch.randn(batch, 13), "sparse": torch.randint(0, 20000, (batch, 26))})


speech("speech_lstm", nn.LSTM)
speech("speech_gru", nn.GRU)


@network
def r3d_18(batch):
    module = settle(torchvision.models.video.r3d_18(weights=None), torch.randn(1, 3, 16, 112, 112))
    return Recipe(module, {"input": torch.randn(batch, 3, 16, 112, 112)})


vision("swin_v2_t", 256)
timm_model("repvgg_a0", 224)
timm_model("mobilevit_s", 256)
timm_model("ghostnetv2_100", 224)
timm_model("efficientvit_b1", 224)
timm_model("nfnet_l0", 224)
timm_model("res2net50_26w_4s", 224)
timm_model("poolformer_s12", 224)
timm_model("mobilenetv4_conv_small", 224)
