"""Still more networks for gpu_zoo.py: kinds of layers that those of the other two lists lack, each in a network that is deployed with them."""
import torch
import transformers
from torch import nn
from torch.nn import functional as F

from gpu_zoo_more import NETWORKS, Residual
from gpu_zoo_networks import network, timm_model
from zoo_recipe import Recipe, picture, settle
from zoo_sequences import Logits


# ---- Images

timm_model("seresnext26t_32x4d", 224)
timm_model("hrnet_w18_small", 224)
timm_model("rexnet_100", 224)
timm_model("levit_128", 224)
timm_model("xcit_nano_12_p16_224", 224)
timm_model("pvt_v2_b0", 224)
timm_model("tiny_vit_5m_224", 224)
timm_model("davit_tiny", 224)
timm_model("focalnet_tiny_srf", 224)
timm_model("mvitv2_tiny", 224)
timm_model("hiera_tiny_224", 224)
timm_model("beit_base_patch16_224", 224)
timm_model("eva02_tiny_patch14_224", 224)
timm_model("edgenext_small", 256)
timm_model("convmixer_768_32", 224)
timm_model("gmlp_s16_224", 224)
timm_model("cspdarknet53", 256)
timm_model("dpn68", 224)
timm_model("efficientvit_m0", 224)
timm_model("lambda_resnet26t", 256)
timm_model("volo_d1_224", 224)
timm_model("inception_next_tiny", 224)


class Pyramid(nn.Module):
    """Features of three sizes go down and up a weighted pyramid and into heads that all sizes share, as in EfficientDet."""
    def __init__(self, width=64, rounds=3, anchors=9, classes=90):
        super().__init__()
        conv = lambda i, o, stride=1: nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.SiLU())
        apart = lambda: nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False), nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.SiLU())
        self.stem, self.levels = nn.Sequential(conv(3, 32, 2), conv(32, width, 2)), nn.ModuleList(conv(width, width, 2) for _ in range(3))
        self.up, self.down = (nn.ModuleList(nn.ModuleList(apart() for _ in range(2)) for _ in range(rounds)) for _ in range(2))
        self.shares = nn.Parameter(torch.rand(rounds, 4, 3) + 0.5)
        self.boxes = nn.Sequential(apart(), apart(), nn.Conv2d(width, 4 * anchors, 3, padding=1))
        self.kinds = nn.Sequential(apart(), apart(), nn.Conv2d(width, classes * anchors, 3, padding=1))
        self.anchors = anchors

    def join(self, shares, *values):
        shares = F.relu(shares[:len(values)])
        shares = shares / (shares.sum() + 1e-4)
        return F.silu(sum(share * value for share, value in zip(shares, values)))

    def flat(self, head, levels):
        return torch.cat([head(x).permute(0, 2, 3, 1).reshape(x.shape[0], x.shape[2] * x.shape[3] * self.anchors, -1) for x in levels], 1)

    def forward(self, x):
        a = self.levels[0](self.stem(x))
        b = self.levels[1](a)
        c = self.levels[2](b)
        for up, down, shares in zip(self.up, self.down, self.shares):
            middle = up[0](self.join(shares[0], b, F.interpolate(c, scale_factor=2)))
            a = up[1](self.join(shares[1], a, F.interpolate(middle, scale_factor=2)))
            b = down[0](self.join(shares[2], b, middle, F.max_pool2d(a, 3, 2, 1)))
            c = down[1](self.join(shares[3], c, F.max_pool2d(b, 3, 2, 1)))
        return self.flat(self.boxes, (a, b, c)), self.flat(self.kinds, (a, b, c)).sigmoid()


@network
def pyramid(batch):
    return Recipe(settle(Pyramid(), picture(512)), {"input": picture(512, 3, batch)})


class CrossBlock(nn.Module):
    """What stands between the convolutions of text-to-image networks: pixels look at each other and at the text, then a gated product."""
    def __init__(self, width, text=768, heads=8):
        super().__init__()
        self.norm, self.enter, self.leave = nn.GroupNorm(32, width, 1e-6), nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = nn.ModuleList(nn.Linear(width, width, bias=k == 3) for k in range(4))
        self.other = nn.ModuleList(nn.Linear(text if k in (1, 2) else width, width, bias=k == 3) for k in range(4))
        self.gated, self.last, self.heads = nn.Linear(width, 8 * width), nn.Linear(4 * width, width), heads

    def look(self, products, x, at):
        n, length, width = x.shape
        split = lambda v: v.view(n, v.shape[1], self.heads, -1).transpose(1, 2)
        q, k, v = split(products[0](x)), split(products[1](at)), split(products[2](at))
        return products[3](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, width))

    def forward(self, x, text):
        n, c, h, w = x.shape
        y = self.enter(self.norm(x)).permute(0, 2, 3, 1).reshape(n, h * w, c)
        own = self.norms[0](y)
        y = y + self.look(self.own, own, own)
        y = y + self.look(self.other, self.norms[1](y), text)
        a, gate = self.gated(self.norms[2](y)).chunk(2, -1)
        y = y + self.last(a * F.gelu(gate))
        return x + self.leave(y.reshape(n, h, w, c).permute(0, 3, 1, 2))


class TextToImage(nn.Module):
    """The U-Net of latent diffusion at two of its sizes."""
    def __init__(self, width=320):
        super().__init__()
        self.enter, self.leave = nn.Conv2d(4, width, 3, padding=1), nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), nn.Conv2d(width, 4, 3, padding=1))
        self.step = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        sizes = [(width, width), (width, 2 * width), (2 * width, 2 * width), (4 * width, 2 * width), (3 * width, width)]
        self.convs = nn.ModuleList(Residual(i, o) for i, o in sizes)
        self.cross = nn.ModuleList(CrossBlock(o) for _, o in sizes)
        self.down, self.up = nn.Conv2d(width, width, 3, 2, 1), nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.register_buffer("turns", torch.exp(-9.2 * torch.arange(width // 2) / (width // 2)))

    def forward(self, latents, step, text):
        angles = step[:, None] * self.turns
        x = self.enter(latents) + self.step(torch.cat([angles.cos(), angles.sin()], -1))[:, :, None, None]
        a = self.cross[0](self.convs[0](x), text)
        b = self.cross[1](self.convs[1](self.down(a)), text)
        c = self.cross[2](self.convs[2](b), text)
        c = self.cross[3](self.convs[3](torch.cat([c, b], 1)), text)
        c = self.up(F.interpolate(c, scale_factor=2))
        return self.leave(self.cross[4](self.convs[4](torch.cat([c, a], 1)), text))


@network
def text_to_image(batch):
    inputs = {"latents": picture(64, 4, batch), "step": torch.full((batch,), 250.0), "text": torch.randn(batch, 77, 768)}
    return Recipe(settle(TextToImage(), *inputs.values()), inputs)


@network
def depth_estimation(batch):
    """A transformer over patches whose tokens become images of four sizes."""
    config = transformers.DPTConfig(hidden_size=384, num_hidden_layers=8, num_attention_heads=6, intermediate_size=1536, image_size=224,
                                    backbone_out_indices=[1, 3, 5, 7], neck_hidden_sizes=[48, 96, 192, 384], fusion_hidden_size=64)
    module = Logits(transformers.DPTForDepthEstimation(config), ("pixel_values",), ("predicted_depth",))
    inputs = {"pixel_values": picture(224, 3, batch)}
    return Recipe(settle(module, *inputs.values()), inputs)


class Expand(nn.Module):
    """Tokens become four times as many of half the width."""
    def __init__(self, width):
        super().__init__()
        self.wide, self.norm = nn.Linear(width, 2 * width, bias=False), nn.LayerNorm(width // 2)

    def forward(self, x):
        n, h, w, c = x.shape
        return self.norm(self.wide(x).view(n, h, w, 2, 2, c // 2).permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 2))


class WindowUNet(nn.Module):
    """A U-Net of windowed attention."""
    def __init__(self, width=96, depth=3):
        super().__init__()
        from torchvision.models.swin_transformer import PatchMerging, SwinTransformerBlock
        pair = lambda w, heads: nn.Sequential(*(SwinTransformerBlock(w, heads, [7, 7], [s, s]) for s in (0, 3)))
        widths = [width << k for k in range(depth)]
        self.patches, self.norm = nn.Conv2d(3, width, 4, 4), nn.LayerNorm(width)
        self.down, self.merge = nn.ModuleList(pair(w, w // 32) for w in widths), nn.ModuleList(PatchMerging(w) for w in widths[:-1])
        self.up, self.expand = nn.ModuleList(pair(w, w // 32) for w in widths[-2::-1]), nn.ModuleList(Expand(w) for w in widths[:0:-1])
        self.join, self.last = nn.ModuleList(nn.Linear(2 * w, w) for w in widths[-2::-1]), nn.Conv2d(width, 9, 1)

    def forward(self, x):
        x, kept = self.norm(self.patches(x).permute(0, 2, 3, 1)), []
        for k, blocks in enumerate(self.down):
            x = blocks(self.merge[k - 1](x) if k else x)
            kept.append(x)
        for up, expand, join, skipped in zip(self.up, self.expand, self.join, kept[-2::-1]):
            x = up(join(torch.cat([expand(x), skipped], -1)))
        return F.interpolate(self.last(x.permute(0, 3, 1, 2)), scale_factor=4, mode="bilinear")


@network
def window_unet(batch):
    return Recipe(settle(WindowUNet(), picture(224)), {"input": picture(224, 3, batch)})


class ConvLSTM(nn.Module):
    """Frames through recurrent layers whose products are convolutions."""
    def __init__(self, width=64, layers=2):
        super().__init__()
        self.gates = nn.ModuleList(nn.Conv2d((width if k else 1) + width, 4 * width, 3, padding=1) for k in range(layers))
        self.last, self.width = nn.Conv2d(width, 1, 1), width

    def forward(self, frames):
        n, steps, _, h, w = frames.shape
        seen = list(frames.unbind(1))
        for gates in self.gates:
            state = cell = torch.zeros(n, self.width, h, w, device=frames.device, dtype=frames.dtype)
            for t in range(steps):
                i, f, o, g = gates(torch.cat([seen[t], state], 1)).chunk(4, 1)
                cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
                state = seen[t] = torch.sigmoid(o) * torch.tanh(cell)
        return self.last(seen[-1])


@network
def conv_lstm(batch):
    return Recipe(ConvLSTM(), {"frames": torch.randn(batch, 8, 1, 64, 64)})


class Reader(nn.Module):
    """Lines of text: convolutions whose columns become steps of recurrent layers."""
    def __init__(self, width=256, letters=97):
        super().__init__()
        block = lambda i, o, *pool: nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), *(nn.MaxPool2d(*p) for p in pool))
        self.body = nn.Sequential(block(1, 64, (2, 2)), block(64, 128, (2, 2)), block(128, 256), block(256, 256, ((2, 1),)), block(256, 512),
                                  block(512, 512, ((2, 1),)), nn.Conv2d(512, 512, 2), nn.ReLU())
        self.layers, self.head = nn.LSTM(512, width, num_layers=2, bidirectional=True), nn.Linear(2 * width, letters)

    def forward(self, x):
        return F.log_softmax(self.head(self.layers(self.body(x).squeeze(2).permute(2, 0, 1))[0]), -1)


@network
def reader(batch):
    return Recipe(settle(Reader(), picture(32, 1)[..., :32]), {"input": torch.randn(batch, 1, 32, 256)})


# ---- Sound

class Vocoder(nn.Module):
    """Spectra become samples: transposed convolutions over time, dilated ones behind each, their means."""
    def __init__(self, bands=80, width=256, ups=((8, 16), (8, 16), (2, 4), (2, 4)), kernels=(3, 7, 11)):
        super().__init__()
        widths = [width >> k for k in range(len(ups) + 1)]
        self.first, self.last = nn.Conv1d(bands, width, 7, padding=3), nn.Conv1d(widths[-1], 1, 7, padding=3)
        self.ups = nn.ModuleList(nn.ConvTranspose1d(i, o, k, s, (k - s) // 2) for i, o, (s, k) in zip(widths, widths[1:], ups))
        conv = lambda w, k, d: nn.Conv1d(w, w, k, dilation=d, padding=d * (k - 1) // 2)
        self.blocks = nn.ModuleList(nn.ModuleList(nn.ModuleList(conv(w, k, d) for dilation in (1, 3, 5) for d in (dilation, 1)) for k in kernels)
                                    for w in widths[1:])

    def forward(self, x):
        x = self.first(x)
        for up, blocks in zip(self.ups, self.blocks):
            x, total = up(F.leaky_relu(x, 0.1)), 0
            for block in blocks:
                y = x
                for a, b in zip(block[::2], block[1::2]):
                    y = y + b(F.leaky_relu(a(F.leaky_relu(y, 0.1)), 0.1))
                total = total + y
            x = total / len(blocks)
        return torch.tanh(self.last(F.leaky_relu(x)))


@network
def vocoder(batch):
    return Recipe(settle(Vocoder(), torch.randn(1, 80, 32)), {"spectrum": torch.randn(batch, 80, 64)})


class Separator(nn.Module):
    """Speakers of one recording apart, as Conv-TasNet does: a learned transform, dilated depthwise convolutions, a mask for each."""
    def __init__(self, bases=512, width=128, hidden=512, layers=8, speakers=2):
        super().__init__()
        self.enter, self.leave = nn.Conv1d(1, bases, 16, 8, bias=False), nn.ConvTranspose1d(bases, 1, 16, 8, bias=False)
        self.norm, self.narrow, self.masks = nn.GroupNorm(1, bases), nn.Conv1d(bases, width, 1), nn.Conv1d(width, speakers * bases, 1)
        block = lambda d: nn.Sequential(nn.Conv1d(width, hidden, 1), nn.PReLU(), nn.GroupNorm(1, hidden),
                                        nn.Conv1d(hidden, hidden, 3, padding=d, dilation=d, groups=hidden), nn.PReLU(), nn.GroupNorm(1, hidden),
                                        nn.Conv1d(hidden, width, 1))
        self.blocks, self.speakers = nn.ModuleList(block(1 << k) for k in range(layers)), speakers

    def forward(self, x):
        parts = F.relu(self.enter(x))
        y = self.narrow(self.norm(parts))
        for block in self.blocks:
            y = y + block(y)
        masks = torch.sigmoid(self.masks(y)).view(x.shape[0] * self.speakers, -1, parts.shape[-1])
        return self.leave(masks * parts.repeat_interleave(self.speakers, 0)).view(x.shape[0], self.speakers, -1)


@network
def separator(batch):
    return Recipe(settle(Separator(), torch.randn(1, 1, 4000)), {"sound": torch.randn(batch, 1, 16000)})


@network
def audio_transformer(batch):
    module = transformers.ASTForAudioClassification(transformers.ASTConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=6,
                                                                           intermediate_size=1536, max_length=512))
    return Recipe(Logits(module, ("input_values",)), {"input_values": torch.randn(batch, 512, 128)})


# ---- Sequences

class Retention(nn.Module):
    """Linear attention that forgets: products of queries and keys times powers of a factor for each head, a norm, a gate."""
    def __init__(self, width=512, heads=8):
        super().__init__()
        self.norm, self.products, self.leave = nn.LayerNorm(width), nn.Linear(width, 4 * width, bias=False), nn.Linear(width, width, bias=False)
        self.heads_norm, self.heads = nn.GroupNorm(heads, width), heads
        self.up, self.down, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.LayerNorm(width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v, gate = self.products(self.norm(x)).chunk(4, -1)
        q, k, v = (part.view(n, length, self.heads, -1).transpose(1, 2) for part in (q, k, v))
        place = torch.arange(length, device=x.device)
        apart = (place[:, None] - place).clamp(min=0)
        forget = torch.log(1 - torch.exp2(-5 - torch.arange(self.heads, device=x.device, dtype=x.dtype)))
        decay = torch.exp(apart * forget[:, None, None]).to(x.dtype).tril()
        y = ((q @ k.transpose(-1, -2)) * decay * q.shape[-1] ** -0.5) @ v
        y = self.heads_norm(y.transpose(1, 2).reshape(n * length, width)).view(n, length, width)
        x = x + self.leave(y * F.silu(gate))
        return x + self.down(F.gelu(self.up(self.second(x))))


@network
def retention(batch):
    return Recipe(nn.Sequential(*(Retention() for _ in range(6))), {"input": torch.randn(batch, 128, 512)})


class Rwkv(nn.Module):
    """Each token mixes with the one before; a state for each channel decays and is added to, step by step, as exporters write it."""
    def __init__(self, width=256):
        super().__init__()
        self.norms, self.mix = nn.ModuleList(nn.LayerNorm(width) for _ in range(2)), nn.Parameter(torch.rand(5, width))
        self.time = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(4))
        self.channel = nn.ModuleList([nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False), nn.Linear(width, width, bias=False)])
        self.decay, self.first = nn.Parameter(torch.rand(width)), nn.Parameter(torch.rand(width))

    def forward(self, x):
        y = self.norms[0](x)
        before = F.pad(y, (0, 0, 1, -1))
        r, k, v = (product(y * mix + before * (1 - mix)) for product, mix in zip(self.time[:3], self.mix))
        up, down, seen = torch.zeros_like(y[:, 0]), torch.zeros_like(y[:, 0]), []
        for t in range(y.shape[1]):
            now = torch.exp(self.first + k[:, t])
            seen.append((up + now * v[:, t]) / (down + now))
            keep, key = torch.exp(-torch.exp(self.decay)), torch.exp(k[:, t])
            up, down = keep * up + key * v[:, t], keep * down + key
        x = x + self.time[3](torch.sigmoid(r) * torch.stack(seen, 1))
        y = self.norms[1](x)
        before = F.pad(y, (0, 0, 1, -1))
        k, r = (y * mix + before * (1 - mix) for mix in self.mix[3:])
        return x + torch.sigmoid(self.channel[2](r)) * self.channel[1](torch.relu(self.channel[0](k)) ** 2)


@network
def rwkv(batch):
    return Recipe(nn.Sequential(*(Rwkv() for _ in range(4))), {"input": torch.randn(batch, 32, 256)})


@network
def forecast(batch):
    """A transformer over patches of several time series."""
    config = transformers.PatchTSTConfig(num_input_channels=7, context_length=512, patch_length=16, patch_stride=16, prediction_length=96, d_model=128,
                                         num_hidden_layers=3, num_attention_heads=16, ffn_dim=512)
    module = transformers.PatchTSTForPrediction(config)
    return Recipe(Logits(module, ("past_values",), ("prediction_outputs",)), {"past_values": torch.randn(batch, 512, 7)}, exporters=("dynamo",))


class Gated(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.gate, self.norm = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.LayerNorm(width)

    def forward(self, x):
        return self.norm(x + F.glu(self.gate(F.elu(self.up(x))), -1))


class Fusion(nn.Module):
    """A temporal fusion transformer: chosen variables, a recurrent layer, attention over time, quantiles."""
    def __init__(self, variables=12, width=64, past=120, future=24):
        super().__init__()
        self.enter, self.choose = nn.ModuleList(nn.Linear(1, width) for _ in range(variables)), nn.Sequential(nn.Linear(variables * width, variables), nn.Softmax(-1))
        self.each, self.future = nn.ModuleList(Gated(width) for _ in range(variables)), future
        self.encode, self.decode = nn.LSTM(width, width, batch_first=True), nn.LSTM(width, width, batch_first=True)
        self.after, self.last = Gated(width), nn.Linear(width, 3)
        self.products, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        parts = [enter(x[..., i:i + 1]) for i, enter in enumerate(self.enter)]
        shares = self.choose(torch.cat(parts, -1)).unsqueeze(-1)
        y = (torch.stack([each(part) for each, part in zip(self.each, parts)], 2) * shares).sum(2)
        past, state = self.encode(y[:, :-self.future])
        y = self.after(torch.cat([past, self.decode(y[:, -self.future:], state)[0]], 1))
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.products(y).chunk(3, -1))
        y = y + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return self.last(y[:, -self.future:])


@network
def fusion(batch):
    return Recipe(Fusion(), {"series": torch.randn(4 * batch, 144, 12)})


class WordModel(nn.Module):
    def __init__(self, words=20000, width=512):
        super().__init__()
        self.words, self.layers, self.head = nn.Embedding(words, width), nn.LSTM(width, width, 2, batch_first=True), nn.Linear(width, words)

    def forward(self, ids):
        return self.head(self.layers(self.words(ids))[0])


@network
def word_model(batch):
    return Recipe(WordModel(), {"ids": torch.randint(0, 20000, (batch, 64))})


@network
def xlnet(batch):
    """Relative positions by shifting the scores."""
    module = transformers.XLNetModel(transformers.XLNetConfig(d_model=512, n_layer=4, n_head=8, d_inner=2048))
    return Recipe(Logits(module, ("input_ids",), ("last_hidden_state",), use_mems=False), {"input_ids": torch.randint(3, 30000, (batch, 128))})


@network
def perceiver(batch):
    """Few latents look at many values."""
    module = transformers.PerceiverModel(transformers.PerceiverConfig(num_latents=256, d_latents=512, d_model=256, num_self_attends_per_block=4))
    return Recipe(Logits(module, ("inputs",), ("last_hidden_state",)), {"inputs": torch.randn(batch, 2048, 256)})


@network
def text_tower(batch):
    """Two texts, one network, how alike they are."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = transformers.AutoModel.from_config(transformers.BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536))

        def one(self, ids, mask):
            shares = mask.unsqueeze(-1).to(self.body.embeddings.word_embeddings.weight.dtype)
            y = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
            return F.normalize((y * shares).sum(1) / shares.sum(1).clamp(min=1e-9), dim=-1)

        def forward(self, first, second, first_mask, second_mask):
            return (self.one(first, first_mask) * self.one(second, second_mask)).sum(-1)

    ids = {name: torch.randint(3, 30000, (8 * batch, 48)) for name in ("first", "second")}
    return Recipe(Net(), {**ids, **{f"{name}_mask": torch.ones_like(value) for name, value in ids.items()}})


# ---- Points, graphs, fields

class EdgeConv(nn.Module):
    """Points and their nearest neighbours among the features, found anew in each layer."""
    def __init__(self, widths=(3, 64, 64, 128), near=16):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Conv2d(2 * i, o, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2)) for i, o in zip(widths, widths[1:]))
        self.last, self.near = nn.Sequential(nn.Conv1d(sum(widths[1:]), 512, 1), nn.LeakyReLU(0.2)), near
        self.head = nn.Linear(512, 40)

    def forward(self, x):
        kept = []
        for layer in self.layers:
            n, c, points = x.shape
            products = x.transpose(1, 2) @ x
            square = (x * x).sum(1)
            near = (2 * products - square.unsqueeze(1) - square.unsqueeze(2)).topk(self.near, -1).indices
            around = torch.gather(x.unsqueeze(2).expand(-1, -1, points, -1), 3, near.unsqueeze(1).expand(-1, c, -1, -1))
            own = x.unsqueeze(3).expand_as(around)
            x = layer(torch.cat([around - own, own], 1)).amax(3)
            kept.append(x)
        return self.head(self.last(torch.cat(kept, 1)).amax(2))


@network
def edge_conv(batch):
    return Recipe(settle(EdgeConv(), torch.randn(1, 3, 256)), {"points": torch.randn(batch, 3, 1024)})


class GraphAttention(nn.Module):
    """Attention of nodes to those they have edges with, by a matrix of all pairs."""
    def __init__(self, features=128, width=32, heads=8, classes=7):
        super().__init__()
        self.enter, self.leave = nn.Linear(features, heads * width, bias=False), nn.Linear(heads * width, classes, bias=False)
        self.first, self.second = nn.Parameter(torch.randn(2, heads, width) / 6), nn.Parameter(torch.randn(2, 1, classes) / 3)

    def layer(self, x, weights, edges):
        from_node, to_node = ((x * w).sum(-1).t() for w in weights)
        scores = F.leaky_relu(from_node.unsqueeze(2) + to_node.unsqueeze(1), 0.2).masked_fill(edges == 0, -1e4)
        return (F.softmax(scores, -1) @ x.transpose(0, 1)).transpose(0, 1)

    def forward(self, nodes, edges):
        x = self.enter(nodes).unflatten(-1, (8, 32))
        x = self.leave(F.elu(self.layer(x, self.first, edges)).flatten(1))
        return F.log_softmax(self.layer(x.unsqueeze(1), self.second, edges).squeeze(1), -1)


@network
def graph_attention(batch):
    nodes = 1024 * batch
    return Recipe(GraphAttention(), {"nodes": torch.randn(nodes, 128), "edges": (torch.rand(nodes, nodes) < 0.01).float() + torch.eye(nodes)})


class Field(nn.Module):
    """Radiance along rays: sines of positions, products of one width with a skipped value, sums along each ray."""
    def __init__(self, width=256, turns=10):
        super().__init__()
        entering = 3 + 6 * turns
        self.first, self.second = (nn.ModuleList(nn.Linear(w if k == 0 else width, width) for k in range(4)) for w in (entering, entering + width))
        self.density, self.colour = nn.Linear(width, 1), nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 3), nn.Sigmoid())
        self.register_buffer("turns", 2.0 ** torch.arange(turns) / 8)

    def forward(self, points, steps):
        angles = (points.unsqueeze(-1) * self.turns).flatten(-2)
        x = seen = torch.cat([points, angles.sin(), angles.cos()], -1)
        for product in self.first:
            x = torch.relu(product(x))
        x = torch.cat([seen, x], -1)
        for product in self.second:
            x = torch.relu(product(x))
        thick = F.softplus(self.density(x)).squeeze(-1) * steps
        passed = torch.exp(-(torch.cumsum(thick, -1) - thick))
        return ((passed * (1 - torch.exp(-thick))).unsqueeze(-1) * self.colour(x)).sum(-2)


@network
def field(batch):
    return Recipe(Field(), {"points": torch.randn(256 * batch, 64, 3), "steps": torch.rand(256 * batch, 64) / 16})
