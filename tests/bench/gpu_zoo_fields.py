"""More networks for gpu_zoo.py, of fields in which layers are not those of classifiers and language models: restoration and generation of images, sound,
matching, proteins, operators, tables, video."""
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from gpu_zoo_networks import network
from gpu_zoo_recent import NETWORKS, heads_of, joined, unit
from zoo_recipe import Recipe, picture, settle


# ---- Images in, images out

class Channels(nn.Module):
    """A norm of each pixel's channels."""
    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(1, width, 1, 1)), nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x):
        y = x - x.mean(1, keepdim=True)
        return y / torch.sqrt((y * y).mean(1, keepdim=True) + 1e-6) * self.weight + self.bias


class Halves(nn.Module):
    """Restoration without activations: halves are multiplied."""
    def __init__(self, w):
        super().__init__()
        self.first, self.second, self.wide, self.deep = Channels(w), Channels(w), nn.Conv2d(w, 2 * w, 1), nn.Conv2d(2 * w, 2 * w, 3, padding=1, groups=2 * w)
        self.share, self.out, self.up, self.down = nn.Conv2d(w, w, 1), nn.Conv2d(w, w, 1), nn.Conv2d(w, 2 * w, 1), nn.Conv2d(w, w, 1)
        self.scales = nn.Parameter(torch.rand(2, 1, w, 1, 1))

    def forward(self, x):
        a, b = self.deep(self.wide(self.first(x))).chunk(2, 1)
        y = a * b
        x = x + self.out(y * self.share(y.mean((2, 3), keepdim=True))) * self.scales[0]
        a, b = self.up(self.second(x)).chunk(2, 1)
        return x + self.down(a * b) * self.scales[1]


class Restorer(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        w = [width << k for k in range(4)]
        self.enter, self.leave = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        pair = lambda i: nn.Sequential(Halves(i), Halves(i))
        self.down, self.shrink = nn.ModuleList(pair(i) for i in w), nn.ModuleList(nn.Conv2d(i, 2 * i, 2, 2) for i in w[:-1])
        self.grow = nn.ModuleList(nn.Sequential(nn.Conv2d(2 * i, 4 * i, 1, bias=False), nn.PixelShuffle(2)) for i in w[-2::-1])
        self.up = nn.ModuleList(pair(i) for i in w[-2::-1])

    def forward(self, image):
        x, kept = self.enter(image), []
        for k, block in enumerate(self.down):
            x = block(self.shrink[k - 1](x) if k else x)
            kept.append(x)
        for grow, block, skipped in zip(self.grow, self.up, kept[-2::-1]):
            x = block(grow(x) + skipped)
        return self.leave(x) + image


@network
def restorer(batch):
    return Recipe(settle(Restorer(), picture(256)), {"input": picture(256, 3, batch)})


class Grown(nn.Module):
    """Each convolution reads all that came before, as in ESRGAN."""
    def __init__(self, width=64, growth=32):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width + k * growth, growth if k < 4 else width, 3, padding=1) for k in range(5))

    def forward(self, x):
        parts = [x]
        for conv in self.convs[:-1]:
            parts.append(F.leaky_relu(conv(torch.cat(parts, 1)), 0.2))
        return x + 0.2 * self.convs[-1](torch.cat(parts, 1))


@network
def enlarger(batch):
    class Net(nn.Module):
        def __init__(self, width=64):
            super().__init__()
            self.enter, self.body, self.after = nn.Conv2d(3, width, 3, padding=1), nn.Sequential(*(Grown() for _ in range(9))), nn.Conv2d(width, width, 3, padding=1)
            self.up, self.last = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3)), nn.Conv2d(width, 3, 3, padding=1)

        def forward(self, x):
            x = self.enter(x)
            x = x + self.after(self.body(x))
            for up in self.up[:2]:
                x = F.leaky_relu(up(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
            return self.last(F.leaky_relu(self.up[2](x), 0.2))

    return Recipe(settle(Net(), picture(128)), {"input": picture(128, 3, batch)})


class Styled(nn.Module):
    """Convolutions whose weights depend on a style, one set for each image."""
    def __init__(self, i, o, style=256, up=False):
        super().__init__()
        self.weight, self.affine, self.up = nn.Parameter(torch.randn(o, i, 3, 3)), nn.Linear(style, i), up
        self.noise, self.bias = nn.Parameter(torch.randn(1)), nn.Parameter(torch.zeros(o))

    def forward(self, x, style, noise):
        n, c, h, w = x.shape
        weights = self.weight.unsqueeze(0) * (self.affine(style) + 1).view(n, 1, c, 1, 1)
        weights = weights * torch.rsqrt(weights.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8)
        x = F.interpolate(x, scale_factor=2, mode="bilinear") if self.up else x
        h, w = x.shape[2:]
        x = F.conv2d(x.reshape(1, n * c, h, w), weights.flatten(0, 1), padding=1, groups=n).view(n, -1, h, w)
        return F.leaky_relu(x + self.noise * noise[..., :h, :w] + self.bias.view(-1, 1, 1), 0.2) * 1.414


@network
def style_generator(batch):
    class Net(nn.Module):
        def __init__(self, widths=(256, 256, 256, 128, 64)):
            super().__init__()
            self.map = nn.Sequential(*(m for _ in range(4) for m in (nn.Linear(256, 256), nn.LeakyReLU(0.2))))
            self.start = nn.Parameter(torch.randn(1, widths[0], 4, 4))
            self.layers = nn.ModuleList(m for i, o in zip(widths, widths[1:]) for m in (Styled(i, o, up=True), Styled(o, o)))
            self.colours = nn.ModuleList(nn.Conv2d(o, 3, 1) for o in widths[1:])

        def forward(self, z, noise):
            style = self.map(z * torch.rsqrt(z.pow(2).mean(1, keepdim=True) + 1e-8))
            x, image = self.start.expand(z.shape[0], -1, -1, -1), None
            for k, colour in enumerate(self.colours):
                x = self.layers[2 * k + 1](self.layers[2 * k](x, style, noise), style, noise)
                image = colour(x) if image is None else F.interpolate(image, scale_factor=2, mode="bilinear") + colour(x)
            return image

    return Recipe(Net(), {"z": torch.randn(4 * batch, 256), "noise": torch.randn(1, 1, 64, 64)})


@network
def deformed(batch):
    """Convolutions that read where others say."""
    class Layer(nn.Module):
        def __init__(self, i, o):
            super().__init__()
            self.where, self.conv, self.norm = nn.Conv2d(i, 27, 3, padding=1), torchvision.ops.DeformConv2d(i, o, 3, padding=1), nn.BatchNorm2d(o)

        def forward(self, x):
            a = self.where(x)
            return F.relu(self.norm(self.conv(x, a[:, :18], torch.sigmoid(a[:, 18:]))))

    body = nn.Sequential(unit(3, 32, stride=2), unit(32, 64, stride=2), Layer(64, 64), unit(64, 128, stride=2), Layer(128, 128), Layer(128, 128))
    return Recipe(settle(body, picture(256)), {"input": picture(256, 3, batch)}, exporters=("dynamo",))


class Remembering(nn.Module):
    """Pools remember where, as SegNet does."""
    def __init__(self, widths=(3, 32, 64, 128)):
        super().__init__()
        self.down = nn.ModuleList(unit(i, o) for i, o in zip(widths, widths[1:]))
        self.up = nn.ModuleList(unit(o, i if i > 3 else 16) for i, o in zip(widths[-2::-1], widths[:0:-1]))
        self.last = nn.Conv2d(16, 12, 1)

    def forward(self, x):
        kept = []
        for block in self.down:
            x, where = F.max_pool2d(block(x), 2, return_indices=True)
            kept.append(where)
        for block, where in zip(self.up, kept[::-1]):
            x = block(F.max_unpool2d(x, where, 2))
        return self.last(x)


@network
def remembering(batch):
    return Recipe(settle(Remembering(), picture(128)), {"input": picture(128, 3, batch)})


class Nearby(nn.Module):
    """Each pixel looks at the seven by seven around it, gathered by unfold."""
    def __init__(self, width=64, heads=4, size=7):
        super().__init__()
        self.norm, self.q, self.kv, self.out = nn.GroupNorm(1, width), nn.Conv2d(width, width, 1), nn.Conv2d(width, 2 * width, 1), nn.Conv2d(width, width, 1)
        self.heads, self.size = heads, size

    def forward(self, x):
        n, c, h, w = x.shape
        y = self.norm(x)
        q = self.q(y).view(n, self.heads, c // self.heads, 1, h * w)
        around = F.unfold(self.kv(y), self.size, padding=self.size // 2).view(n, 2, self.heads, c // self.heads, -1, h * w)
        shares = F.softmax((q * around[:, 0]).sum(2, keepdim=True) * (c // self.heads) ** -0.5, 3)
        return x + self.out((shares * around[:, 1]).sum(3).reshape(n, c, h, w))


@network
def nearby(batch):
    body = nn.Sequential(nn.Conv2d(3, 64, 4, 4), Nearby(), Nearby(), Nearby())
    return Recipe(settle(body, picture(128)), {"input": picture(128, 3, batch)})


@network
def overlapping(batch):
    """What windows that overlap say is added up where they lie, by fold."""
    class Net(nn.Module):
        def __init__(self, width=96):
            super().__init__()
            self.enter, self.inner, self.leave = nn.Conv2d(3, width, 7, 4, 3), nn.Linear(width, 9 * width), nn.Conv2d(width, 8, 1)

        def forward(self, x):
            x = self.enter(x)
            n, c, h, w = x.shape
            y = self.inner(x.flatten(2).transpose(1, 2)).transpose(1, 2)
            return self.leave(x + F.gelu(F.fold(y, (h, w), 3, padding=1)))

    return Recipe(settle(Net(), picture(224)), {"input": picture(224, 3, batch)})


# ---- Matching

class Keypoints(nn.Module):
    """Points that are the greatest around, their descriptors where they lie, and how alike those of two images are."""
    def __init__(self, width=64, points=256):
        super().__init__()
        self.body = nn.Sequential(unit(1, 32), unit(32, 32, stride=2), unit(32, width), unit(width, width, stride=2), unit(width, 128, stride=2))
        self.score, self.describe, self.points = nn.Conv2d(128, 65, 1), nn.Conv2d(128, 128, 1), points
        layer = lambda: nn.ModuleDict({"qkv": nn.Linear(128, 384), "out": nn.Linear(128, 128), "mlp": nn.Sequential(nn.Linear(256, 256), nn.LayerNorm(256), nn.GELU(),
                                                                                                          nn.Linear(256, 128))})
        self.own, self.across = (nn.ModuleList(layer() for _ in range(3)) for _ in range(2))

    def look(self, layer, x, at):
        q, k, v = (heads_of(part, 4) for part in layer["qkv"](x).chunk(3, -1))
        if at is not x:
            k, v = (heads_of(part, 4) for part in layer["qkv"](at).chunk(3, -1)[1:])
        y = layer["out"](joined(F.scaled_dot_product_attention(q, k, v)))
        return x + layer["mlp"](torch.cat([x, y], -1))

    def find(self, x):
        f = self.body(x)
        n, _, h, w = f.shape
        scores = F.softmax(self.score(f), 1)[:, :-1].permute(0, 2, 3, 1).reshape(n, h, w, 8, 8).permute(0, 1, 3, 2, 4).reshape(n, 1, 8 * h, 8 * w)
        scores = scores * (scores == F.max_pool2d(scores, 9, 1, 4)).to(scores.dtype)
        best, where = scores.flatten(1).topk(self.points)
        places = torch.stack([where % (8 * w), where // (8 * w)], -1).to(x.dtype)
        at = (places + 0.5) / torch.tensor([4.0 * w, 4.0 * h], device=x.device, dtype=x.dtype) - 1
        seen = F.grid_sample(F.normalize(self.describe(f), dim=1), at.unsqueeze(1), align_corners=False)
        return F.normalize(seen.squeeze(2).transpose(1, 2), dim=-1), best

    def forward(self, first, second):
        (a, _), (b, _) = self.find(first), self.find(second)
        for own, across in zip(self.own, self.across):
            a, b = self.look(own, a, a), self.look(own, b, b)
            a, b = self.look(across, a, b), self.look(across, b, a)
        alike = a @ b.transpose(1, 2) * 128 ** -0.5
        return F.log_softmax(alike, 1) + F.log_softmax(alike, 2)


@network
def keypoints(batch):
    inputs = {"first": picture(240, 1, batch), "second": picture(240, 1, batch)}
    return Recipe(settle(Keypoints(), *inputs.values()), inputs)


# ---- Sound

@network
def spectral_vocoder(batch):
    """Blocks over time, then magnitudes and phases become samples by an inverse transform, windows added where they lie."""
    class Block(nn.Module):
        def __init__(self, w=384):
            super().__init__()
            self.deep, self.norm, self.mlp = nn.Conv1d(w, w, 7, padding=3, groups=w), nn.LayerNorm(w), nn.Sequential(nn.Linear(w, 3 * w), nn.GELU(), nn.Linear(3 * w, w))
            self.scale = nn.Parameter(torch.ones(w))

        def forward(self, x):
            return x + (self.scale * self.mlp(self.norm(self.deep(x).transpose(1, 2)))).transpose(1, 2)

    class Net(nn.Module):
        def __init__(self, w=384, size=1024):
            super().__init__()
            self.enter, self.blocks = nn.Conv1d(100, w, 7, padding=3), nn.Sequential(*(Block(w) for _ in range(6)))
            self.norm, self.last = nn.LayerNorm(w), nn.Linear(w, size + 2)
            turns = torch.outer(torch.arange(size // 2 + 1), torch.arange(size)) * (2 * torch.pi / size)
            shares = torch.full((size // 2 + 1, 1), 2.0 / size)
            shares[0] = shares[-1] = 1.0 / size
            window = torch.hann_window(size)
            self.register_buffer("basis", (torch.cat([turns.cos() * shares, -turns.sin() * shares]) * window).unsqueeze(1))

        def forward(self, x):
            x = self.norm(self.blocks(self.enter(x)).transpose(1, 2))
            size, phase = self.last(x).transpose(1, 2).chunk(2, 1)
            size = torch.exp(size).clamp(max=100)
            return F.conv_transpose1d(torch.cat([size * phase.cos(), size * phase.sin()], 1), self.basis, stride=256, padding=384)

    return Recipe(settle(Net(), torch.randn(1, 100, 16)), {"spectrum": torch.randn(batch, 100, 128)})


@network
def codec(batch):
    """Strided convolutions, a recurrent layer, and eight books of which each says the nearest to what is left."""
    class Net(nn.Module):
        def __init__(self, width=32):
            super().__init__()
            layers, w = [nn.Conv1d(1, width, 7, padding=3)], width
            for stride in (2, 4, 5, 8):
                layers += [nn.ELU(), nn.Conv1d(w, 2 * w, 2 * stride, stride, stride // 2 + stride % 2)]
                w *= 2
            self.body, self.layers, self.last = nn.Sequential(*layers), nn.LSTM(w, w, 2), nn.Conv1d(w, 128, 7, padding=3)
            self.books = nn.Parameter(torch.randn(8, 1024, 128))

        def forward(self, x):
            x = self.body(x)
            x = x + self.layers(x.permute(2, 0, 1))[0].permute(1, 2, 0)
            left, said = self.last(F.elu(x)).transpose(1, 2), []
            for book in self.books:
                apart = left.pow(2).sum(-1, keepdim=True) - 2 * left @ book.t() + book.pow(2).sum(-1)
                said.append(book[apart.argmin(-1)])
                left = left - said[-1]
            return sum(said)

    return Recipe(settle(Net(), torch.randn(1, 1, 3200)), {"sound": torch.randn(batch, 1, 24000)})


@network
def speaker(batch):
    """Convolutions over time in eight parts that follow each other, and shares of time for each channel, as ECAPA does."""
    class Part(nn.Module):
        def __init__(self, w=512, parts=8, dilation=2):
            super().__init__()
            unit1 = lambda i, o, k=1, d=1: nn.Sequential(nn.Conv1d(i, o, k, padding=d * (k // 2), dilation=d), nn.ReLU(), nn.BatchNorm1d(o))
            self.enter, self.leave, self.parts = unit1(w, w), unit1(w, w), parts
            self.convs = nn.ModuleList(unit1(w // parts, w // parts, 3, dilation) for _ in range(parts - 1))
            self.share = nn.Sequential(nn.Conv1d(w, 128, 1), nn.ReLU(), nn.Conv1d(128, w, 1), nn.Sigmoid())

        def forward(self, x):
            parts, out = self.enter(x).chunk(self.parts, 1), []
            for k, part in enumerate(parts):
                out.append(part if k == 0 else self.convs[k - 1](part + out[-1] if k > 1 else part))
            y = self.leave(torch.cat(out, 1))
            return x + y * self.share(y.mean(2, keepdim=True))

    class Net(nn.Module):
        def __init__(self, w=512):
            super().__init__()
            self.enter, self.blocks = nn.Sequential(nn.Conv1d(80, w, 5, padding=2), nn.ReLU(), nn.BatchNorm1d(w)), nn.ModuleList(Part(w, 8, d) for d in (2, 3, 4))
            self.join, self.share = nn.Conv1d(3 * w, 3 * w, 1), nn.Sequential(nn.Conv1d(9 * w, 128, 1), nn.Tanh(), nn.Conv1d(128, 3 * w, 1))
            self.last = nn.Linear(6 * w, 192)

        def forward(self, x):
            x, kept = self.enter(x), []
            for block in self.blocks:
                x = block(x)
                kept.append(x)
            x = F.relu(self.join(torch.cat(kept, 1)))
            mean = x.mean(2, keepdim=True)
            size = torch.sqrt((x - mean).pow(2).mean(2, keepdim=True).clamp(min=1e-4))
            shares = F.softmax(self.share(torch.cat([x, mean.expand_as(x), size.expand_as(x)], 1)), 2)
            mean = (shares * x).sum(2)
            size = torch.sqrt(((shares * x * x).sum(2) - mean * mean).clamp(min=1e-4))
            return self.last(torch.cat([mean, size], 1))

    return Recipe(settle(Net(), torch.randn(1, 80, 100)), {"bands": torch.randn(batch, 80, 300)})


@network
def voice_activity(batch):
    """A transform as a convolution, magnitudes, convolutions, one step of a recurrent layer whose state goes in and out."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.basis = nn.Conv1d(1, 258, 256, 128, bias=False)
            self.body = nn.Sequential(*(m for i, o, s in ((129, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1)) for m in (nn.Conv1d(i, o, 3, s, 1), nn.ReLU())))
            self.cell, self.last = nn.LSTMCell(128, 128), nn.Conv1d(128, 1, 1)

        def forward(self, x, state, cell):
            y = self.basis(F.pad(x.unsqueeze(1), (0, 64), mode="reflect"))
            y = self.body(torch.sqrt(y[:, :129] ** 2 + y[:, 129:] ** 2 + 1e-9))
            state, cell = self.cell(y[..., -1], (state, cell))
            return torch.sigmoid(self.last(F.relu(state).unsqueeze(-1))).mean(2), state, cell

    return Recipe(Net(), {"sound": torch.randn(batch, 576), "state": torch.randn(batch, 128), "cell": torch.randn(batch, 128)})


# ---- Others

@network
def triangles(batch):
    """Pairs of residues, updated along edges of triangles, with attention along rows and columns, as folding networks do."""
    class Block(nn.Module):
        def __init__(self, w=64, heads=4):
            super().__init__()
            self.norms = nn.ModuleList(nn.LayerNorm(w) for _ in range(7))
            self.sides = nn.ModuleList(nn.Linear(w, 4 * w) for _ in range(2))
            self.outs, self.gates = (nn.ModuleList(nn.Linear(w, w) for _ in range(4)) for _ in range(2))
            self.qkv, self.bias = nn.ModuleList(nn.Linear(w, 3 * w, bias=False) for _ in range(2)), nn.ModuleList(nn.Linear(w, heads, bias=False) for _ in range(2))
            self.mlp, self.heads = nn.Sequential(nn.Linear(w, 4 * w), nn.ReLU(), nn.Linear(4 * w, w)), heads

        def update(self, k, z, how):
            y = self.norms[k](z)
            a, ga, b, gb = self.sides[k](y).chunk(4, -1)
            summed = torch.einsum(how, torch.sigmoid(ga) * a, torch.sigmoid(gb) * b)
            return z + torch.sigmoid(self.gates[k](y)) * self.outs[k](self.norms[k + 2](summed))

        def look(self, k, z):
            y = self.norms[4 + k](z)
            q, k_, v = (part.unflatten(-1, (self.heads, -1)).transpose(2, 3) for part in self.qkv[k](y).chunk(3, -1))
            bias = self.bias[k](y).permute(0, 3, 1, 2).unsqueeze(1)
            scores = F.softmax(q @ k_.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias, -1)
            return torch.sigmoid(self.gates[2 + k](y)) * self.outs[2 + k]((scores @ v).transpose(2, 3).flatten(3))

        def forward(self, z):
            z = self.update(1, self.update(0, z, "nikc,njkc->nijc"), "nkic,nkjc->nijc")
            z = z + self.look(0, z)
            z = z + self.look(1, z.transpose(1, 2)).transpose(1, 2)
            return z + self.mlp(self.norms[6](z))

    return Recipe(nn.Sequential(*(Block() for _ in range(3))), {"pairs": torch.randn(batch, 96, 96, 64)})


@network
def fourier_operator(batch):
    """Products with the lowest frequencies of a field, by transforms that are products."""
    class Layer(nn.Module):
        def __init__(self, w=32, size=64, modes=12):
            super().__init__()
            self.skip = nn.Conv2d(w, w, 1)
            self.real, self.imaginary = (nn.Parameter(torch.randn(w, w, 2 * modes, modes) / w) for _ in range(2))
            self.modes = modes

        def forward(self, x):
            f = torch.fft.rfft2(x, norm="ortho")
            f = torch.view_as_real(f)
            m = self.modes
            low = torch.cat([f[:, :, :m, :m], f[:, :, -m:, :m]], 2)
            a, b = low[..., 0], low[..., 1]
            times = lambda v, w: torch.einsum("nihw,iohw->nohw", v, w)
            a, b = times(a, self.real) - times(b, self.imaginary), times(a, self.imaginary) + times(b, self.real)
            return F.gelu(self.skip(x) + F.interpolate(a + b, x.shape[2:], mode="bilinear"))

    body = nn.Sequential(nn.Conv2d(3, 32, 1), Layer(), Layer(), Layer(), nn.Conv2d(32, 1, 1))
    return Recipe(body, {"field": torch.randn(batch, 3, 64, 64)}, exporters=("dynamo", "script"))


@network
def spikes(batch):
    """Neurons that fill and fire, step by step."""
    class Net(nn.Module):
        def __init__(self, steps=8):
            super().__init__()
            self.convs, self.last, self.steps = nn.ModuleList([nn.Conv2d(2, 32, 3, 1, 1), nn.Conv2d(32, 64, 3, 1, 1)]), nn.Linear(64 * 64, 10), steps

        def forward(self, frames):
            full, total = [0, 0], 0
            for t in range(self.steps):
                x = frames[:, t]
                for k, conv in enumerate(self.convs):
                    level = 0.9 * full[k] + conv(x)
                    x = (level > 0.5).to(level.dtype)
                    full[k] = level * (1 - x)
                    x = F.avg_pool2d(x, 2)
                total = total + self.last(x.flatten(1))
            return total / self.steps

    return Recipe(Net(), {"frames": torch.randn(batch, 8, 2, 32, 32)})


@network
def crosses(batch):
    """Features cross each other by products of full width, for rankings of 512 candidates."""
    class Net(nn.Module):
        def __init__(self, tables=16, rows=5000, width=32):
            super().__init__()
            self.tables, size = nn.ModuleList(nn.Embedding(rows, width) for _ in range(tables)), tables * width + 8
            self.cross = nn.ModuleList(nn.Linear(size, size) for _ in range(3))
            self.deep = nn.Sequential(nn.Linear(size, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU())
            self.last = nn.Linear(size + 256, 1)

        def forward(self, dense, sparse):
            x = first = torch.cat([dense] + [table(sparse[:, k]) for k, table in enumerate(self.tables)], 1)
            for cross in self.cross:
                x = first * cross(x) + x
            return torch.sigmoid(self.last(torch.cat([x, self.deep(first)], 1)))

    return Recipe(Net(), {"dense": torch.randn(512 * batch, 8), "sparse": torch.randint(0, 5000, (512 * batch, 16))})


@network
def table_transformer(batch):
    """Each column of a table is a token."""
    class Net(nn.Module):
        def __init__(self, columns=24, width=192):
            super().__init__()
            self.weight, self.bias, self.first = nn.Parameter(torch.randn(columns, width)), nn.Parameter(torch.randn(columns, width)), nn.Parameter(torch.randn(1, 1, width))
            layer = nn.TransformerEncoderLayer(width, 8, 256, batch_first=True, norm_first=True)
            self.layers, self.last = nn.ModuleList(layer for _ in range(3)), nn.Linear(width, 2)

        def forward(self, x):
            x = torch.cat([self.first.expand(x.shape[0], -1, -1), x.unsqueeze(-1) * self.weight + self.bias], 1)
            for layer in self.layers:
                x = layer(x)
            return self.last(F.relu(x[:, 0]))

    return Recipe(Net(), {"table": torch.randn(256 * batch, 24)}, exporters=("dynamo",))


@network
def actions(batch):
    """Video: depthwise convolutions over space and time, shares of channels."""
    def conv(i, o, k, stride=1, groups=1):
        k = (k, k, k) if isinstance(k, int) else k
        return nn.Sequential(nn.Conv3d(i, o, k, (1, stride, stride), tuple(s // 2 for s in k), groups=groups, bias=False), nn.BatchNorm3d(o))

    class Block(nn.Module):
        def __init__(self, i, o, stride=1):
            super().__init__()
            wide = 9 * i // 4
            self.up, self.deep, self.down = conv(i, wide, 1), conv(wide, wide, 3, stride, wide), conv(wide, o, 1)
            self.share = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Conv3d(wide, 8, 1), nn.ReLU(), nn.Conv3d(8, wide, 1), nn.Sigmoid())
            self.skip = conv(i, o, 1, stride) if stride > 1 or i != o else nn.Identity()

        def forward(self, x):
            y = self.deep(F.relu(self.up(x)))
            return F.relu(self.skip(x) + self.down(F.silu(y * self.share(y))))

    body = nn.Sequential(conv(3, 24, (1, 3, 3), 2), conv(24, 24, (5, 1, 1), 1, 24), nn.ReLU(), Block(24, 24, 2), Block(24, 24), Block(24, 48, 2), Block(48, 48),
                         Block(48, 96, 2), Block(96, 96), conv(96, 216, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(1), nn.Linear(216, 400))
    return Recipe(settle(body, torch.randn(1, 3, 8, 64, 64)), {"video": torch.randn(batch, 3, 13, 160, 160)})
