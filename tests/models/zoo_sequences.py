"""Networks that take sequences, and those of transformers."""

import torch
import transformers
from torch import nn
from torch.nn import functional as F

from zoo_recipe import ATTENTION, BATCH, RECIPES, Recipe, picture, recipe


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
