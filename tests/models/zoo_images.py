"""Networks that take images."""

import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from zoo_recipe import BATCH, BATCH_SIZE, Outputs, RECIPES, Recipe, picture, recipe, settle


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
        rates = torch.exp(-9.2 * torch.arange(half, dtype=torch.float32, device=steps.device) / half)
        angles = steps[:, None].float() * rates[None]
        t = self.time(torch.cat((angles.sin(), angles.cos()), -1).to(x.dtype))
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
