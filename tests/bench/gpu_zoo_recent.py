"""More networks for gpu_zoo.py: kinds that became usual with diffusion transformers, language models and foundation models, and some usual ones at the
larger of their sizes."""
import torch
import torchvision
import transformers
from torch import nn
from torch.nn import functional as F

from gpu_zoo_kinds import NETWORKS
from gpu_zoo_networks import Encoder, network, text, timm_model, vision
from zoo_recipe import Recipe, picture, settle
from zoo_sequences import Logits

heads_of = lambda x, heads: x.unflatten(-1, (heads, -1)).transpose(1, 2)
joined = lambda x: x.transpose(1, 2).flatten(2)


def turned(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def angles(length, width, base=10000.0):
    turns = torch.outer(torch.arange(length).float(), base ** (-torch.arange(0, width, 2).float() / width))
    return torch.cat([turns, turns], -1)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * self.weight


class Gate(nn.Module):
    """silu(a) b, of one product for both."""
    def __init__(self, width, hidden):
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        a, b = self.up(x).chunk(2, -1)
        return self.down(F.silu(a) * b)


# ---- Diffusion

class Steered(nn.Module):
    """A block of a diffusion transformer: what is added, scaled and let through comes from the step."""
    def __init__(self, width, heads):
        super().__init__()
        self.norm, self.steer, self.heads = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6), nn.Linear(width, 6 * width), heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x, step):
        s = self.steer(F.silu(step)).unsqueeze(1).chunk(6, -1)
        q, k, v = (heads_of(part, self.heads) for part in self.qkv(self.norm(x) * (1 + s[1]) + s[0]).chunk(3, -1))
        x = x + s[2] * self.out(joined(F.scaled_dot_product_attention(q, k, v)))
        return x + s[5] * self.mlp(self.norm(x) * (1 + s[4]) + s[3])


class DiffusionTransformer(nn.Module):
    def __init__(self, width=384, depth=12, heads=6, size=32, patch=2):
        super().__init__()
        self.patches, self.patch, self.size = nn.Conv2d(4, width, patch, patch), patch, size
        self.place = nn.Parameter(torch.randn(1, (size // patch) ** 2, width) / 50)
        self.step, self.kinds = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width)), nn.Embedding(1001, width)
        self.blocks = nn.ModuleList(Steered(width, heads) for _ in range(depth))
        self.norm, self.steer, self.last = nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, 2 * width), nn.Linear(width, patch * patch * 8)
        self.register_buffer("turns", torch.exp(-9.2 * torch.arange(128) / 128))

    def forward(self, x, step, kind):
        a = step[:, None] * self.turns
        step = self.step(torch.cat([a.cos(), a.sin()], -1)) + self.kinds(kind)
        x = self.patches(x).flatten(2).transpose(1, 2) + self.place
        for block in self.blocks:
            x = block(x, step)
        shift, scale = self.steer(F.silu(step)).unsqueeze(1).chunk(2, -1)
        n = self.size // self.patch
        x = self.last(self.norm(x) * (1 + scale) + shift).view(-1, n, n, self.patch, self.patch, 8)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(-1, 8, self.size, self.size)


@network
def diffusion_transformer(batch):
    inputs = {"latents": picture(32, 4, 2 * batch), "step": torch.full((2 * batch,), 250.0), "kind": torch.randint(0, 1000, (2 * batch,))}
    return Recipe(settle(DiffusionTransformer(), *inputs.values()), inputs)


class TwoStreams(nn.Module):
    """Text and picture have weights of their own and look at each other together."""
    def __init__(self, width, heads):
        super().__init__()
        self.steer, self.heads = nn.ModuleList(nn.Linear(width, 6 * width) for _ in range(2)), heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.qkv, self.out = (nn.ModuleList(nn.Linear(width, w) for _ in range(2)) for w in (3 * width, width))
        self.norms = nn.ModuleList(Norm(width // heads) for _ in range(4))
        self.mlp = nn.ModuleList(nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)) for _ in range(2))

    def forward(self, text, x, step, cos, sin):
        s = [steer(F.silu(step)).unsqueeze(1).chunk(6, -1) for steer in self.steer]
        parts = [[heads_of(p, self.heads) for p in qkv(self.norm(v) * (1 + a[1]) + a[0]).chunk(3, -1)] for qkv, v, a in zip(self.qkv, (text, x), s)]
        q, k = (torch.cat([self.norms[i](parts[0][i]), self.norms[i + 2](parts[1][i])], 2) for i in range(2))
        seen = joined(F.scaled_dot_product_attention(turned(q, cos, sin), turned(k, cos, sin), torch.cat([parts[0][2], parts[1][2]], 2)))
        seen = seen[:, :text.shape[1]], seen[:, text.shape[1]:]
        both = [v + a[2] * out(y) for v, a, out, y in zip((text, x), s, self.out, seen)]
        return [v + a[5] * mlp(self.norm(v) * (1 + a[4]) + a[3]) for v, a, mlp in zip(both, s, self.mlp)]


@network
def two_streams(batch, width=768, heads=12):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks, self.last = nn.ModuleList(TwoStreams(width, heads) for _ in range(4)), nn.Linear(width, 64)
            turns = angles(77 + 256, width // heads)
            self.register_buffer("cos", turns.cos())
            self.register_buffer("sin", turns.sin())

        def forward(self, text, x, step):
            for block in self.blocks:
                text, x = block(text, x, step, self.cos, self.sin)
            return self.last(x)

    return Recipe(Net(), {"text": torch.randn(batch, 77, width), "latents": torch.randn(batch, 256, width), "step": torch.randn(batch, width)})


# ---- Language

class Step(nn.Module):
    """One token behind a cache: norms of queries and keys, rotary positions, gated products, the cache comes out longer."""
    def __init__(self, width=1024, hidden=3072, heads=16, keys=8, size=128, layers=8, words=32000):
        super().__init__()
        self.words, self.head, self.heads, self.keys = nn.Embedding(words, width), nn.Linear(width, words, bias=False), heads, keys
        block = lambda: nn.ModuleDict({"q": nn.Linear(width, heads * size, bias=False), "k": nn.Linear(width, keys * size, bias=False),
                                       "v": nn.Linear(width, keys * size, bias=False), "o": nn.Linear(heads * size, width, bias=False),
                                       "mlp": Gate(width, hidden), "first": Norm(width), "second": Norm(width), "qn": Norm(size), "kn": Norm(size)})
        self.blocks, self.norm = nn.ModuleList(block() for _ in range(layers)), Norm(width)
        self.register_buffer("turns", 1e6 ** (-torch.arange(0, size, 2).float() / size))

    def forward(self, ids, place, *cache):
        a = place[:, None, None].to(self.turns.dtype) * self.turns
        a = torch.cat([a, a], -1).unsqueeze(1)
        cos, sin, x, out = a.cos(), a.sin(), self.words(ids), []
        for i, b in enumerate(self.blocks):
            y = b["first"](x)
            q, k, v = heads_of(b["q"](y), self.heads), heads_of(b["k"](y), self.keys), heads_of(b["v"](y), self.keys)
            k = torch.cat([cache[2 * i], turned(b["kn"](k), cos, sin)], 2)
            v = torch.cat([cache[2 * i + 1], v], 2)
            out += [k, v]
            wide = lambda t: t.repeat_interleave(self.heads // self.keys, 1)
            y = F.scaled_dot_product_attention(turned(b["qn"](q), cos, sin), wide(k), wide(v))
            x = x + b["o"](joined(y))
            x = x + b["mlp"](b["second"](x))
        return (self.head(self.norm(x)), *out)


@network
def qwen3_step(batch, length=1024):
    inputs = {"ids": torch.randint(0, 32000, (batch, 1)), "place": torch.full((batch,), float(length))}
    inputs.update({f"past_{i}": torch.randn(batch, 8, length, 128) for i in range(16)})
    return Recipe(Step(), inputs)


class Latent(nn.Module):
    """Attention whose keys and values come from one narrow value, with a rotary part beside, as in DeepSeek's networks."""
    def __init__(self, width=1024, heads=16, narrow=256, plain=64, turning=32):
        super().__init__()
        self.q, self.down, self.up = nn.Linear(width, heads * (plain + turning), bias=False), nn.Linear(width, narrow + turning, bias=False), nn.Linear(
            narrow, heads * 2 * plain, bias=False)
        self.norm, self.first, self.second = Norm(narrow), Norm(width), Norm(width)
        self.out, self.mlp, self.heads, self.sizes = nn.Linear(heads * plain, width, bias=False), Gate(width, 2816), heads, (plain, turning, narrow)

    def forward(self, x, cos, sin):
        plain, turning, narrow = self.sizes
        y = self.first(x)
        q, q_turned = heads_of(self.q(y), self.heads).split([plain, turning], -1)
        low, k_turned = self.down(y).split([narrow, turning], -1)
        k, v = heads_of(self.up(self.norm(low)), self.heads).split([plain, plain], -1)
        k_turned = turned(k_turned.unsqueeze(1), cos, sin).expand(-1, self.heads, -1, -1)
        y = F.scaled_dot_product_attention(torch.cat([q, turned(q_turned, cos, sin)], -1), torch.cat([k, k_turned], -1), v, is_causal=True)
        x = x + self.out(joined(y))
        return x + self.mlp(self.second(x))


@network
def latent_attention(batch):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.blocks, self.head = nn.Embedding(16000, 1024), nn.ModuleList(Latent() for _ in range(4)), nn.Linear(1024, 16000, bias=False)
            turns = angles(256, 32)
            self.register_buffer("cos", turns.cos())
            self.register_buffer("sin", turns.sin())

        def forward(self, ids):
            x = self.words(ids)
            for block in self.blocks:
                x = block(x, self.cos, self.sin)
            return self.head(x)

    return Recipe(Net(), {"ids": torch.randint(0, 16000, (batch, 256))})


class Sinks(nn.Module):
    """Attention in windows with a sink for each head, and experts of which the best four of eight count."""
    def __init__(self, width=768, heads=12, experts=8, hidden=768, window=64):
        super().__init__()
        self.first, self.second, self.heads, self.window = Norm(width), Norm(width), heads, window
        self.qkv, self.out, self.sink = nn.Linear(width, 3 * width), nn.Linear(width, width), nn.Parameter(torch.randn(heads))
        self.router, self.up, self.down = nn.Linear(width, experts), nn.Parameter(torch.randn(experts, width, 2 * hidden) / 28), nn.Parameter(
            torch.randn(experts, hidden, width) / 28)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = (heads_of(part, self.heads) for part in self.qkv(self.first(x)).chunk(3, -1))
        place = torch.arange(length, device=x.device)
        hidden = (place[None] > place[:, None]) | (place[None] <= place[:, None] - self.window)
        scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).masked_fill(hidden, -1e4)
        shares = F.softmax(torch.cat([scores, self.sink.view(1, -1, 1, 1).expand(n, -1, length, 1)], -1), -1)[..., :-1]
        x = x + self.out(joined(shares @ v))
        tokens = self.second(x).flatten(0, 1)
        best, which = self.router(tokens).topk(4, -1)
        share = torch.zeros(n * length, self.up.shape[0], device=x.device, dtype=x.dtype).scatter(1, which, F.softmax(best, -1))
        gate, up = torch.matmul(tokens.unsqueeze(0), self.up).chunk(2, -1)
        each = torch.matmul((up.clamp(-7, 7) + 1) * (gate.clamp(max=7) * torch.sigmoid(1.702 * gate.clamp(max=7))), self.down)
        return x + (each * share.t().unsqueeze(-1)).sum(0).view(n, length, width)


@network
def sinks(batch):
    return Recipe(nn.Sequential(*(Sinks() for _ in range(4))), {"input": torch.randn(batch, 128, 768)})


class Chunks(nn.Module):
    """A state space by chunks: products inside each, states handed from chunk to chunk, as Mamba 2 computes it."""
    def __init__(self, width=512, heads=16, size=64, states=64, chunk=64):
        super().__init__()
        inner = heads * size
        self.norm, self.enter, self.leave = Norm(width), nn.Linear(width, 2 * inner + 2 * states + heads, bias=False), nn.Linear(inner, width, bias=False)
        self.conv, self.inner_norm = nn.Conv1d(inner + 2 * states, inner + 2 * states, 4, padding=3, groups=inner + 2 * states), Norm(inner)
        self.decay, self.skip, self.bias = nn.Parameter(torch.rand(heads)), nn.Parameter(torch.ones(heads)), nn.Parameter(torch.zeros(heads))
        self.sizes = inner, heads, size, states, chunk

    def forward(self, x):
        inner, heads, size, states, chunk = self.sizes
        n, length, _ = x.shape
        gate, y, step = self.enter(self.norm(x)).split([inner, inner + 2 * states, heads], -1)
        y = F.silu(self.conv(y.transpose(1, 2))[..., :length].transpose(1, 2))
        y, b, c = y.split([inner, states, states], -1)
        step = F.softplus(step + self.bias)
        parts = length // chunk
        y, b, c = y.view(n, parts, chunk, heads, size), b.view(n, parts, chunk, states), c.view(n, parts, chunk, states)
        sums = torch.cumsum((-torch.exp(self.decay) * step).view(n, parts, chunk, heads).permute(0, 3, 1, 2), -1)
        seen = torch.ones(chunk, chunk, device=x.device, dtype=torch.bool).tril()
        within = torch.exp((sums.unsqueeze(-1) - sums.unsqueeze(-2)).masked_fill(~seen, -1e4))
        entering = y * step.view(n, parts, chunk, heads, 1)
        out = torch.einsum("npls,nhpls,npshd->nplhd", torch.einsum("npld,npsd->npls", c, b), within, entering)
        states_of = torch.einsum("npls,nhpl,nplhd->nphds", b, torch.exp(sums[..., -1:] - sums), entering)
        last, kept = torch.zeros_like(states_of[:, 0]), []
        for p in range(parts):
            kept.append(last)
            last = last * torch.exp(sums[:, :, p, -1])[..., None, None] + states_of[:, p]
        out = out + torch.einsum("npls,nphds,nhpl->nplhd", c, torch.stack(kept, 1), torch.exp(sums))
        out = (out + y * self.skip.unsqueeze(-1)).reshape(n, length, inner)
        return x + self.leave(self.inner_norm(out * F.silu(gate)))


@network
def mamba2(batch):
    return Recipe(nn.Sequential(*(Chunks() for _ in range(4))), {"input": torch.randn(batch, 256, 512)})


class TurnedEncoder(nn.Module):
    """A text encoder with rotary positions, gated products and a mean over what is no padding."""
    def __init__(self, words=30000, width=768, heads=12, layers=6, length=256):
        super().__init__()
        self.words, self.heads = nn.Embedding(words, width), heads
        block = lambda: nn.ModuleDict({"qkv": nn.Linear(width, 3 * width, bias=False), "out": nn.Linear(width, width, bias=False),
                                       "mlp": Gate(width, 2048), "first": nn.LayerNorm(width), "second": nn.LayerNorm(width)})
        self.blocks, self.norm = nn.ModuleList(block() for _ in range(layers)), nn.LayerNorm(width)
        turns = angles(length, width // heads)
        self.register_buffer("cos", turns.cos())
        self.register_buffer("sin", turns.sin())

    def forward(self, ids, mask):
        x = self.norm(self.words(ids))
        hidden = (1 - mask[:, None, None].to(x.dtype)) * -10000
        for b in self.blocks:
            q, k, v = b["qkv"](x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
            y = F.scaled_dot_product_attention(turned(q, self.cos, self.sin), turned(k, self.cos, self.sin), v, attn_mask=hidden)
            x = b["first"](x + b["out"](joined(y)))
            x = b["second"](x + b["mlp"](x))
        shares = mask.unsqueeze(-1).to(x.dtype)
        return F.normalize((x * shares).sum(1) / shares.sum(1), dim=-1)


@network
def turned_encoder(batch):
    return Recipe(TurnedEncoder(), {"ids": torch.randint(0, 30000, (batch, 256)), "mask": torch.ones(batch, 256, dtype=torch.int64)})


text("gemma3", "Gemma3TextConfig", "AutoModelForCausalLM", hidden_size=640, intermediate_size=2048, num_hidden_layers=6, num_attention_heads=4,
     num_key_value_heads=1, head_dim=256, vocab_size=32000, sliding_window=64)
text("smollm3", "SmolLM3Config", "AutoModelForCausalLM", hidden_size=1024, intermediate_size=4096, num_hidden_layers=4, num_attention_heads=16,
     num_key_value_heads=4, vocab_size=32000, pad_token_id=0)
text("bert_large", "BertConfig", "AutoModel", ("last_hidden_state",), hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
text("mpnet", "MPNetConfig", "AutoModel", ("last_hidden_state",))
text("longer_bert", "BertConfig", "AutoModel", ("last_hidden_state",), 512)


# ---- Images

timm_model("vit_small_patch14_reg4_dinov2", 224, img_size=224)
timm_model("vit_base_patch16_siglip_224", 224)
timm_model("repvit_m1_0", 224)
timm_model("starnet_s1", 224)
timm_model("mambaout_tiny", 224)
timm_model("caformer_s18", 224)
timm_model("nextvit_small", 224)
timm_model("hgnetv2_b0", 224)
timm_model("mobilenetv3_small_100", 224)
timm_model("tf_efficientnetv2_b0", 224)
timm_model("resnetv2_50", 224)
timm_model("ese_vovnet19b_dw", 224)
timm_model("coatnet_nano_rw_224", 224)
timm_model("crossvit_9_240", 240)
timm_model("twins_svt_small", 224)
timm_model("resnest50d", 224)
vision("vit_b_16")
vision("vit_l_16")
vision("resnet152")
vision("efficientnet_b4", 380)
vision("swin_b")
vision("convnext_base")


class Split(nn.Module):
    """Half goes through some blocks, and all that came out on the way is joined."""
    def __init__(self, i, o, count):
        super().__init__()
        self.enter, self.leave, self.half = unit(i, o, 1), unit((2 + count) * o // 2, o, 1), o // 2
        self.blocks = nn.ModuleList(nn.Sequential(unit(o // 2, o // 2), unit(o // 2, o // 2)) for _ in range(count))

    def forward(self, x):
        parts = list(self.enter(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(parts[-1] + block(parts[-1]))
        return self.leave(torch.cat(parts, 1))


def unit(i, o, k=3, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o), nn.SiLU())


class Pools(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.enter, self.leave = unit(width, width // 2, 1), unit(2 * width, width, 1)

    def forward(self, x):
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(F.max_pool2d(parts[-1], 5, 1, 2))
        return self.leave(torch.cat(parts, 1))


class Detector(nn.Module):
    """A detector of one stage: a pyramid down and up, boxes by expected distances, and the best 100, of which near ones go away or not."""
    def __init__(self, width=32, classes=80, bins=16, suppresses=False):
        super().__init__()
        w = [width << k for k in range(5)]
        self.stem = nn.Sequential(unit(3, w[0], stride=2), unit(w[0], w[1], stride=2), Split(w[1], w[1], 1))
        self.levels = nn.ModuleList([nn.Sequential(unit(w[1], w[2], stride=2), Split(w[2], w[2], 2)), nn.Sequential(unit(w[2], w[3], stride=2), Split(w[3], w[3], 2)),
                                     nn.Sequential(unit(w[3], w[4], stride=2), Split(w[4], w[4], 1), Pools(w[4]))])
        self.up = nn.ModuleList([Split(w[4] + w[3], w[3], 1), Split(w[3] + w[2], w[2], 1)])
        self.shrink = nn.ModuleList([unit(w[2], w[2], stride=2), unit(w[3], w[3], stride=2)])
        self.down = nn.ModuleList([Split(w[2] + w[3], w[3], 1), Split(w[3] + w[4], w[4], 1)])
        head = lambda i, o: nn.Sequential(unit(i, 64), unit(64, 64), nn.Conv2d(64, o, 1))
        self.boxes, self.kinds = (nn.ModuleList(head(w[k], o) for k in (2, 3, 4)) for o in (4 * bins, classes))
        self.bins, self.classes, self.suppresses = bins, classes, suppresses
        self.register_buffer("steps", torch.arange(bins).float())

    def forward(self, x):
        a = self.levels[0](self.stem(x))
        b = self.levels[1](a)
        c = self.levels[2](b)
        b = self.up[0](torch.cat([F.interpolate(c, scale_factor=2), b], 1))
        a = self.up[1](torch.cat([F.interpolate(b, scale_factor=2), a], 1))
        b = self.down[0](torch.cat([self.shrink[0](a), b], 1))
        c = self.down[1](torch.cat([self.shrink[1](b), c], 1))
        boxes, kinds = [], []
        for k, level in enumerate((a, b, c)):
            h, w = level.shape[2:]
            y, x = torch.meshgrid(torch.arange(h, device=level.device) + 0.5, torch.arange(w, device=level.device) + 0.5, indexing="ij")
            places = torch.stack([x, y]).flatten(1).to(level.dtype)
            far = F.softmax(self.boxes[k](level).view(-1, 4, self.bins, h * w), 2)
            far = (far * self.steps.view(1, 1, -1, 1)).sum(2)
            boxes.append(torch.cat([places - far[:, :2], places + far[:, 2:]], 1) * (8 << k))
            kinds.append(self.kinds[k](level).flatten(2).sigmoid())
        boxes, kinds = torch.cat(boxes, 2).transpose(1, 2), torch.cat(kinds, 2).transpose(1, 2)
        if self.suppresses:
            score, kind = kinds[0].max(-1)
            kept = torchvision.ops.nms(boxes[0] + kind.unsqueeze(-1) * 4096, score, 0.5)[:50]
            return boxes[0][kept], score[kept]
        best = kinds.amax(-1).topk(100).indices.unsqueeze(-1)
        boxes, kinds = boxes.gather(1, best.expand(-1, -1, 4)), kinds.gather(1, best.expand(-1, -1, self.classes))
        scores, which = kinds.flatten(1).topk(100)
        return torch.cat([boxes.gather(1, (which // self.classes).unsqueeze(-1).expand(-1, -1, 4)), scores.unsqueeze(-1)], -1)


@network
def detector(batch):
    return Recipe(settle(Detector(), picture(640)), {"input": picture(640, 3, batch)})


@network
def detector_nms(batch):
    return Recipe(settle(Detector(suppresses=True), picture(320)), {"input": picture(320, 3, batch)}, exporters=("script",))


class MaskDecoder(nn.Module):
    """Few tokens and the places of an image look at each other; masks are products of the tokens with the enlarged image."""
    def __init__(self, width=256, heads=8, masks=4):
        super().__init__()
        self.tokens, self.heads = nn.Parameter(torch.randn(1, masks + 1, width)), heads
        look = lambda inner: nn.ModuleList([nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(inner, width)])
        self.own, self.there, self.back = (nn.ModuleList(look(inner) for _ in range(2)) for inner in (width, width // 2, width // 2))
        self.mlp = nn.ModuleList(nn.Sequential(nn.Linear(width, 2048), nn.ReLU(), nn.Linear(2048, width)) for _ in range(2))
        self.norms, self.last = nn.ModuleList(nn.LayerNorm(width) for _ in range(9)), look(width // 2)
        self.up = nn.ModuleList([nn.ConvTranspose2d(width, width // 4, 2, 2), nn.ConvTranspose2d(width // 4, width // 8, 2, 2)])
        self.up_norm = nn.GroupNorm(1, width // 4)
        self.each = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width // 8)) for _ in range(masks))
        self.quality = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, masks))

    def look(self, products, q, k, v):
        q, k, v = (heads_of(product(x), self.heads) for product, x in zip(products, (q, k, v)))
        return products[3](joined(F.scaled_dot_product_attention(q, k, v)))

    def forward(self, image, places, prompts):
        n, c, h, w = image.shape
        tokens = torch.cat([self.tokens.expand(n, -1, -1), prompts], 1)
        x, where = image.flatten(2).transpose(1, 2), places.flatten(2).transpose(1, 2)
        y = tokens
        for k in range(2):
            q = y + tokens
            y = self.norms[4 * k](y + self.look(self.own[k], q, q, y))
            y = self.norms[4 * k + 1](y + self.look(self.there[k], y + tokens, x + where, x))
            y = self.norms[4 * k + 2](y + self.mlp[k](y))
            x = self.norms[4 * k + 3](x + self.look(self.back[k], x + where, y + tokens, y))
        y = self.norms[8](y + self.look(self.last, y + tokens, x + where, x))
        z = self.up[1](F.gelu(self.up_norm(self.up[0](x.transpose(1, 2).reshape(n, c, h, w)))))
        wide = torch.stack([each(y[:, 1 + k]) for k, each in enumerate(self.each)], 1)
        return (wide @ F.gelu(z).flatten(2)).view(n, -1, 4 * h, 4 * w), self.quality(y[:, 0])


@network
def mask_decoder(batch):
    inputs = {"image": picture(64, 256, batch), "places": picture(64, 256, batch), "prompts": torch.randn(batch, 2, 256)}
    return Recipe(MaskDecoder(), inputs)
