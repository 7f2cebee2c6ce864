"""More networks for gpu_zoo.py: other kinds that are deployed, odd sizes, steps of decoders, and shapes that are known at run time.

A Recipe with axes is built for a profile: the named axes from 1 to twice what the inputs have, which is what it is tuned for.
"""
import torch
import torchvision
import transformers
from torch import nn
from torch.nn import functional as F

from gpu_zoo_networks import NETWORKS, Encoder, network, timm_model
from zoo_recipe import Recipe, picture, settle
from zoo_sequences import CachedDecoder, Logits

GQA = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 32000}


# ---- Decoders

@network
def decoder_step(batch, length=512):
    """One token behind 512: products with one row, and a cache that comes in and goes out."""
    config = transformers.LlamaConfig(**GQA)
    inputs = {"input_ids": torch.randint(3, 32000, (batch, 1)), "attention_mask": torch.ones(batch, length + 1, dtype=torch.int64)}
    inputs.update({f"past_{i}": torch.randn(batch, 4, length, 64) for i in range(16)})
    return Recipe(CachedDecoder(transformers.AutoModelForCausalLM.from_config(config), 8), inputs)


@network
def whisper_decoder(batch):
    """32 tokens that look at 1500 frames."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = transformers.WhisperModel(transformers.WhisperConfig()).get_decoder()

        def forward(self, input_ids, frames):
            return self.decoder(input_ids=input_ids, encoder_hidden_states=frames, use_cache=False).last_hidden_state

    return Recipe(Net(), {"input_ids": torch.randint(3, 50000, (batch, 32)), "frames": torch.randn(batch, 1500, 384)})


@network
def t5(batch):
    module = transformers.T5ForConditionalGeneration(transformers.T5Config())
    inputs = {"input_ids": torch.randint(3, 32000, (batch, 128)), "decoder_input_ids": torch.randint(3, 32000, (batch, 32))}
    return Recipe(Logits(module, tuple(inputs), use_cache=False), inputs)


# ---- Images

@network
def sam_encoder(batch):
    """Windows of 14 over 64 x 64 tokens, and relative positions in two dims."""
    module = transformers.SamVisionModel(transformers.SamVisionConfig(num_hidden_layers=4, global_attn_indexes=[1, 3], initializer_range=0.02))
    return Recipe(Encoder(module), {"pixel_values": picture(1024, 3, batch)})


class Residual(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.norms = nn.ModuleList([nn.GroupNorm(32, i, 1e-6), nn.GroupNorm(32, o, 1e-6)])
        self.convs = nn.ModuleList([nn.Conv2d(i, o, 3, padding=1), nn.Conv2d(o, o, 3, padding=1)])
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x):
        y = x
        for norm, conv in zip(self.norms, self.convs):
            y = conv(F.silu(norm(y)))
        return y + self.skip(x)


class PixelAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.qkv, self.out = nn.GroupNorm(32, width, 1e-6), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x).flatten(2).transpose(1, 2)).unsqueeze(1).chunk(3, -1)
        return x + self.out(F.scaled_dot_product_attention(q, k, v).squeeze(1)).transpose(1, 2).reshape(x.shape)


@network
def vae_decoder(batch):
    """The decoder of latent diffusion, from 32 x 32 latents to 256 x 256 pixels."""
    layers, widths = [nn.Conv2d(4, 512, 3, padding=1), Residual(512, 512), PixelAttention(512), Residual(512, 512)], [512, 512, 512, 256, 128]
    for k, (i, o) in enumerate(zip(widths, widths[1:])):
        layers += [Residual(i, o), Residual(o, o), Residual(o, o)]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(o, o, 3, padding=1)] if k < 3 else []
    layers += [nn.GroupNorm(32, 128, 1e-6), nn.SiLU(), nn.Conv2d(128, 3, 3, padding=1)]
    return Recipe(settle(nn.Sequential(*layers), picture(32, 4)), {"input": picture(32, 4, batch)})


timm_model("convnextv2_nano", 224)
timm_model("mobileone_s0", 224)
timm_model("efficientformer_l1", 224)
timm_model("fastvit_t8", 256)


@network
def rt_detr(batch):
    """Detection with deformable attention: features are read where points say."""
    backbone = transformers.RTDetrResNetConfig(depths=[2, 2, 2, 2], layer_type="basic", hidden_sizes=[64, 128, 256, 512],
                                               out_features=["stage2", "stage3", "stage4"])
    config = transformers.RTDetrConfig(backbone_config=backbone, encoder_in_channels=[128, 256, 512], decoder_layers=3, num_queries=100,
                                       anchor_image_size=[320, 320])
    module = Logits(transformers.RTDetrForObjectDetection(config), ("pixel_values",), ("logits", "pred_boxes"))
    inputs = {"pixel_values": picture(320, 3, batch)}
    return Recipe(settle(module, *inputs.values()), inputs)


class Warp(nn.Module):
    """Flow between two images: features of the second are read where the flow so far says, and correlated with the first's."""
    def __init__(self, width=64, steps=3):
        super().__init__()
        conv = lambda i, o, stride=1: nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.LeakyReLU(0.1))
        self.features = nn.Sequential(conv(3, 32, 2), conv(32, width, 2), conv(width, width))
        self.steps = nn.ModuleList(nn.Sequential(conv(2 * width + 2, 96), conv(96, 64), nn.Conv2d(64, 2, 3, padding=1)) for _ in range(steps))

    def forward(self, first, second):
        a, b = self.features(first), self.features(second)
        n, _, h, w = a.shape
        y, x = torch.meshgrid(torch.linspace(-1, 1, h, device=a.device, dtype=a.dtype), torch.linspace(-1, 1, w, device=a.device, dtype=a.dtype), indexing="ij")
        base, flow = torch.stack([x, y], -1).expand(n, h, w, 2), torch.zeros(n, 2, h, w, device=a.device, dtype=a.dtype)
        for step in self.steps:
            moved = F.grid_sample(b, base + 0.05 * torch.tanh(flow).permute(0, 2, 3, 1), padding_mode="border", align_corners=True)
            flow = flow + step(torch.cat([a, moved, flow], 1))
        return flow


@network
def optical_flow(batch):
    inputs = {"first": picture(256, 3, batch), "second": picture(256, 3, batch)}
    return Recipe(settle(Warp(), *inputs.values()), inputs)


class Odd(nn.Module):
    """Nothing is a multiple of anything: 37 channels, 111 x 93 pixels, windows of five, an odd stride."""
    def __init__(self):
        super().__init__()
        block = lambda i, o, k=3, **more: nn.Sequential(nn.Conv2d(i, o, k, padding=k // 2, **more), nn.BatchNorm2d(o), nn.ReLU())
        self.body = nn.Sequential(block(1, 37, 5), block(37, 37), block(37, 53, stride=3), block(53, 53, groups=53), block(53, 91, 1), nn.MaxPool2d(3, 2),
                                  block(91, 91, dilation=2))
        self.head = nn.Linear(91, 13)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


@network
def odd_sizes(batch):
    return Recipe(settle(Odd(), torch.randn(1, 1, 111, 93)), {"input": torch.randn(3 * batch, 1, 111, 93)})


class Volumes(nn.Module):
    """A U-Net over volumes."""
    def __init__(self, width=32):
        super().__init__()
        block = lambda i, o: nn.Sequential(nn.Conv3d(i, o, 3, padding=1), nn.InstanceNorm3d(o, affine=True), nn.LeakyReLU(0.01))
        self.down = nn.ModuleList([block(1, width), block(width, 2 * width), block(2 * width, 4 * width)])
        self.up = nn.ModuleList([nn.ConvTranspose3d(4 * width, 2 * width, 2, 2), nn.ConvTranspose3d(2 * width, width, 2, 2)])
        self.join = nn.ModuleList([block(4 * width, 2 * width), block(2 * width, width)])
        self.last = nn.Conv3d(width, 3, 1)

    def forward(self, x):
        a = self.down[0](x)
        b = self.down[1](F.max_pool3d(a, 2))
        c = self.down[2](F.max_pool3d(b, 2))
        b = self.join[0](torch.cat([b, self.up[0](c)], 1))
        return self.last(self.join[1](torch.cat([a, self.up[1](b)], 1)))


@network
def volume_unet(batch):
    return Recipe(settle(Volumes(), torch.randn(1, 1, 48, 48, 48)), {"input": torch.randn(batch, 1, 48, 48, 48)})


# ---- Points, graphs, sequences

class Points(nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda *widths: nn.Sequential(*(m for i, o in zip(widths, widths[1:]) for m in (nn.Conv1d(i, o, 1), nn.BatchNorm1d(o), nn.ReLU())))
        self.turn, self.angles = block(3, 64, 128, 1024), nn.Sequential(nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 9))
        self.local, self.whole = block(3, 64, 64), block(64, 128, 1024)
        self.parts = nn.Sequential(block(1088, 512, 256, 128), nn.Conv1d(128, 50, 1))

    def forward(self, x):
        turn = self.angles(self.turn(x).amax(2)).view(-1, 3, 3) + torch.eye(3, device=x.device, dtype=x.dtype)
        local = self.local(torch.bmm(turn, x))
        whole = self.whole(local).amax(2, keepdim=True).expand(-1, -1, x.shape[2])
        return self.parts(torch.cat([local, whole], 1))


@network
def pointnet(batch):
    return Recipe(settle(Points(), torch.randn(1, 3, 2048)), {"input": torch.randn(batch, 3, 2048)})


class GraphNet(nn.Module):
    """Messages along edges, summed where they arrive."""
    def __init__(self, width=64, layers=3):
        super().__init__()
        self.enter, self.leave = nn.Linear(16, width), nn.Linear(width, 7)
        self.message = nn.ModuleList(nn.Sequential(nn.Linear(2 * width, width), nn.ReLU()) for _ in range(layers))
        self.update = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))

    def forward(self, nodes, sources, targets):
        x = self.enter(nodes)
        for message, update in zip(self.message, self.update):
            sent = message(torch.cat([x[sources], x[targets]], 1))
            summed = torch.zeros_like(x).scatter_add(0, targets[:, None].expand_as(sent), sent)
            x = x + torch.relu(update(torch.cat([x, summed], 1)))
        return self.leave(x)


@network
def graph_net(batch):
    edges = {name: torch.randint(0, 1000 * batch, (6000 * batch,)) for name in ("sources", "targets")}
    return Recipe(GraphNet(), {"nodes": torch.randn(1000 * batch, 16), **edges})


class TimeConv(nn.Module):
    """Dilated causal convolutions over time with gates."""
    def __init__(self, channels=37, width=96, layers=8):
        super().__init__()
        self.first, self.last = nn.Conv1d(channels, width, 1), nn.Conv1d(width, 11, 1)
        self.gates = nn.ModuleList(nn.Conv1d(width, 2 * width, 3, dilation=1 << k) for k in range(layers))
        self.mix = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(layers))

    def forward(self, x):
        x = self.first(x)
        for k, (gates, mix) in enumerate(zip(self.gates, self.mix)):
            a, b = gates(F.pad(x, (2 << k, 0))).chunk(2, 1)
            x = x + mix(torch.tanh(a) * torch.sigmoid(b))
        return self.last(x)


@network
def time_conv(batch):
    return Recipe(settle(TimeConv(), torch.randn(1, 37, 1000)), {"input": torch.randn(batch, 37, 1000)})


class Scan(nn.Module):
    """A selective state space, written out step by step, as exporters write it."""
    def __init__(self, width=256, inner=512, states=16):
        super().__init__()
        self.enter, self.conv, self.leave = nn.Linear(width, 2 * inner), nn.Conv1d(inner, inner, 4, padding=3, groups=inner), nn.Linear(inner, width)
        self.parts, self.step = nn.Linear(inner, 16 + 2 * states), nn.Linear(16, inner)
        self.decay, self.skip, self.states, self.norm = nn.Parameter(torch.rand(inner, states)), nn.Parameter(torch.ones(inner)), states, nn.LayerNorm(width)

    def forward(self, x):
        y, gate = self.enter(self.norm(x)).chunk(2, -1)
        y = F.silu(self.conv(y.transpose(1, 2))[..., :x.shape[1]].transpose(1, 2))
        step, b, c = self.parts(y).split([16, self.states, self.states], -1)
        step = F.softplus(self.step(step))
        decay, entering = torch.exp(-step.unsqueeze(-1) * torch.exp(self.decay)), (step * y).unsqueeze(-1) * b.unsqueeze(2)
        state, seen = entering[:, 0], []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + entering[:, t] if t else state
            seen.append((state * c[:, t].unsqueeze(1)).sum(-1))
        return x + self.leave((torch.stack(seen, 1) + y * self.skip) * F.silu(gate))


@network
def state_space(batch):
    return Recipe(nn.Sequential(Scan(), Scan()), {"input": torch.randn(batch, 64, 256)})


class Experts(nn.Module):
    """Each token goes through the two best of eight; all are computed, as exporters write it."""
    def __init__(self, width=512, hidden=1024, experts=8):
        super().__init__()
        self.norm, self.router = nn.LayerNorm(width), nn.Linear(width, experts)
        self.up, self.down = nn.Parameter(torch.randn(experts, width, hidden) / 23), nn.Parameter(torch.randn(experts, hidden, width) / 32)

    def forward(self, x):
        tokens = self.norm(x).flatten(0, 1)
        best, which = torch.topk(F.softmax(self.router(tokens), -1), 2)
        share = torch.zeros(tokens.shape[0], self.up.shape[0], device=x.device, dtype=x.dtype).scatter(1, which, best / best.sum(-1, keepdim=True))
        each = torch.bmm(F.gelu(torch.bmm(tokens.expand(self.up.shape[0], -1, -1), self.up)), self.down)
        return x + (each * share.t().unsqueeze(-1)).sum(0).view(x.shape)


@network
def experts(batch):
    return Recipe(nn.Sequential(Experts(), Experts(), Experts()), {"input": torch.randn(batch, 128, 512)})


@network
def conformer(batch):
    module = transformers.Wav2Vec2ConformerForCTC(transformers.Wav2Vec2ConformerConfig(hidden_size=256, num_hidden_layers=6, num_attention_heads=4,
                                                                                       intermediate_size=1024, vocab_size=32))
    return Recipe(Logits(module, ("input_values",)), {"input_values": torch.randn(batch, 32000)})


class Bags(nn.Module):
    """Bags of embeddings, each the mean or sum of some rows of a table."""
    def __init__(self, tables=8, rows=20000, width=64):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(tables))
        self.top = nn.Sequential(nn.Linear(13 + tables * width, 256), nn.ReLU(), nn.Linear(256, 1))

    def forward(self, dense, bags):
        return torch.sigmoid(self.top(torch.cat([dense] + [table(bags[:, i]).sum(1) for i, table in enumerate(self.tables)], 1)))


@network
def embedding_bags(batch):
    return Recipe(Bags(), {"dense": torch.randn(64 * batch, 13), "bags": torch.randint(0, 20000, (64 * batch, 8, 20))})


# ---- Sizes known at run time

@network
def any_text(batch):
    made = transformers.RobertaConfig(num_hidden_layers=4)
    inputs = {"input_ids": torch.randint(3, 5000, (2 * batch, 96)), "attention_mask": torch.ones(2 * batch, 96, dtype=torch.int64)}
    module = Logits(transformers.AutoModel.from_config(made), tuple(inputs), ("last_hidden_state",))
    return Recipe(module, inputs, {name: {0: "batch", 1: "seq"} for name in inputs})


@network
def any_image(batch):
    module = settle(torchvision.models.resnet18(weights=None), picture(192))
    return Recipe(module, {"input": picture(192, 3, 3 * batch)}, {"input": {0: "batch", 2: "height", 3: "width"}})
