"""Image encoders against torchvision and timm: random weights in and out, equal at every stage."""

import functools

import jax
import numpy as np
import pytest
from image_peers import timm, torch, torchvision
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from jaxsim import pretrained

RANDOM = np.random.default_rng(0)
RESNETS = {
    "torchvision resnet18": torchvision.models.resnet18,
    "torchvision resnet50": torchvision.models.resnet50,
    "timm resnet18": lambda: timm.create_model("resnet18"),
    "timm resnet50 without a head": lambda: timm.create_model("resnet50", num_classes=0),
}
SMALL = {"image_size": 32, "num_layers": 3, "num_heads": 4, "hidden_dim": 32, "mlp_dim": 64}
TIMM = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4}
VITS = {  # name: (model, its height and width, heads)
    "torchvision vit_b_16": (torchvision.models.vit_b_16, (224, 224), None),
    "timm vit_base_patch16_224": (
        lambda: timm.create_model("vit_base_patch16_224"),
        (224, 224),
        None,
    ),
    "torchvision, small": (
        lambda: torchvision.models.VisionTransformer(patch_size=8, num_classes=5, **SMALL),
        (32, 32),
        4,
    ),
    "timm, small, no head": (lambda: VisionTransformer(num_classes=0, **TIMM), (32, 32), 4),
    "timm, mean": (
        lambda: VisionTransformer(global_pool="avg", num_classes=5, **TIMM),
        (32, 32),
        4,
    ),
    "timm, mean, no class token, no bias, not square": (
        lambda: VisionTransformer(
            global_pool="avg",
            class_token=False,
            qkv_bias=False,
            **TIMM | {"img_size": (16, 40)},
        ),
        (16, 40),
        4,
    ),
}


def built(make):
    """A model whose every parameter and average is random."""
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point():
                tensor.add_(0.02 * torch.randn(tensor.shape))
            else:
                tensor.fill_(7)
    return model


def near(mine, other):
    """Equal to 1e-5 of the stage's scale."""
    other = other.detach().numpy()
    assert mine.shape == other.shape
    np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5 * np.abs(other).max())


def resnet_stages(model, images):
    """(maps of the stem and of four stages, pooled, logits), channels last."""
    x = model.relu(model.bn1(model.conv1(images))) if hasattr(model, "relu") else None
    x = model.act1(model.bn1(model.conv1(images))) if x is None else x
    maps = [model.maxpool(x)]
    for number in range(1, 5):
        maps.append(getattr(model, f"layer{number}")(maps[-1]))
    pooled = maps[-1].mean(dim=(2, 3))
    return [a.permute(0, 2, 3, 1) for a in maps], pooled, model.fc(pooled)


@pytest.mark.parametrize("name", RESNETS)
def test_every_stage_of_a_resnet_agrees_in_and_out(name, tmp_path):
    theirs = built(RESNETS[name])
    save_file(theirs.state_dict(), tmp_path / "in.safetensors")
    ours = pretrained.load_image_model(tmp_path / "in.safetensors")
    images = np.float32(RANDOM.normal(size=(2, 96, 80, 3)))
    apply = jax.jit(functools.partial(ours.module.apply, features=True, maps=True))
    out, seen, maps = apply(ours.params, images)
    with torch.no_grad():
        pixels = torch.tensor(images).permute(0, 3, 1, 2)
        stages, pooled, logits = resnet_stages(theirs, pixels)
        near(out, theirs(pixels))
    assert len(stages) == len(maps) == 5
    for mine, other in zip((*maps, seen, out), (*stages, pooled, logits), strict=True):
        near(mine, other)
    near(ours.encode(ours.params, images), pooled)
    saved = load_file(ours.save(tmp_path / "out.safetensors"))
    RESNETS[name]().load_state_dict(saved)
    assert all(torch.equal(saved[n], a) for n, a in theirs.state_dict().items())


@pytest.mark.parametrize("name", ["torchvision resnet18", "torchvision resnet50"])
def test_statistics_of_a_batch_agree(name, tmp_path, float64):
    """In float64: the last stages normalize by few values, which multiplies the rounding of both sides."""
    theirs = built(RESNETS[name])
    save_file(theirs.state_dict(), tmp_path / "in.safetensors")
    ours = pretrained.load_image_model(tmp_path / "in.safetensors", dtype=np.float64)
    before = jax.tree.map(np.float64, ours.params)
    images = RANDOM.normal(size=(4, 96, 80, 3))
    apply = functools.partial(
        ours.module.apply, features=True, maps=True, train=True, mutable=["batch_stats"]
    )
    (out, seen, maps), changed = jax.jit(apply)(before, images)
    theirs.double().train()
    with torch.no_grad():
        stages = resnet_stages(theirs, torch.tensor(images).permute(0, 3, 1, 2))
    for mine, other in zip((*maps, seen, out), (*stages[0], *stages[1:]), strict=True):
        near(mine, other)
    # torch's averages move by the unbiased variance, n / (n - 1) of ours.
    arrays = theirs.state_dict()
    counts = {"norm": 4 * 48 * 40, "stage_4_1": 4 * 3 * 3}
    for ours_name, norm, theirs_name in (
        ("norm", (), "bn1"),
        ("stage_4_1", ("norm_2",), "layer4.1.bn2"),
    ):
        old, new = before["batch_stats"][ours_name], changed["batch_stats"][ours_name]
        for part in norm:
            old, new = old[part], new[part]
        near(new["mean"], arrays[f"{theirs_name}.running_mean"])
        count = counts[ours_name]
        unbiased = (new["var"] - 0.9 * old["var"]) * count / (count - 1)
        near(0.9 * old["var"] + unbiased, arrays[f"{theirs_name}.running_var"])


def vit_stages(model, images):
    """(states of the embeddings and every layer, pooled, logits)."""
    states = []

    def keep(_, inputs, output):
        states.append(output)

    timms = hasattr(model, "blocks")
    layers = model.blocks if timms else model.encoder.layers
    hooks = [layer.register_forward_hook(keep) for layer in layers]
    hooks.append(layers[0].register_forward_pre_hook(lambda _, inputs: states.append(inputs[0])))
    logits = model(images)
    for hook in hooks:
        hook.remove()
    if timms:
        pooled = model.forward_head(model.forward_features(images), pre_logits=True)
    else:
        pooled = model.encoder.ln(states[-1])[:, 0]
    return states, pooled, logits


@pytest.mark.parametrize("name", VITS)
def test_every_layer_of_a_vision_transformer_agrees_in_and_out(name, tmp_path):
    make, image, heads = VITS[name]
    theirs = built(make)
    save_file(theirs.state_dict(), tmp_path / "in.safetensors")
    size = None if image[0] == image[1] else image
    ours = pretrained.load_image_model(tmp_path / "in.safetensors", heads=heads, image=size)
    images = np.float32(RANDOM.normal(size=(2, *image, 3)))
    apply = jax.jit(lambda p, x: ours.module.apply(p, x, features=True, maps=True))
    out, seen, maps = apply(ours.params, images)
    with torch.no_grad():
        stages, pooled, logits = vit_stages(theirs, torch.tensor(images).permute(0, 3, 1, 2))
    assert len(stages) == len(maps)
    for mine, other in zip((*maps, seen, out), (*stages, pooled, logits), strict=True):
        near(mine, other)
    near(ours.encode(ours.params, images), pooled)
    saved = load_file(ours.save(tmp_path / "out.safetensors"))
    make().load_state_dict(saved)
    assert all(torch.equal(saved[n], a) for n, a in theirs.state_dict().items())


def test_a_first_file_of_torchvision_names_two_layers_otherwise(tmp_path):
    theirs = built(lambda: torchvision.models.VisionTransformer(patch_size=8, **SMALL))
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor
        for name, tensor in theirs.state_dict().items()
    }
    save_file(old, tmp_path / "old.safetensors")
    ours = pretrained.load_image_model(tmp_path / "old.safetensors", heads=4)
    saved = load_file(ours.save(tmp_path / "new.safetensors"))
    assert set(saved) == set(theirs.state_dict())


def test_other_models_of_torchvision_and_timm_are_refused(tmp_path):
    for make, message in (
        (
            lambda: torchvision.models.wide_resnet50_2(),
            "must be of shape .* in a resnet of these shapes",
        ),
        (lambda: torchvision.models.resnext50_32x4d(), "must be of shape .* in a resnet"),
        (lambda: torchvision.models.alexnet(), "tensors must hold one of 'bn1.weight' of a resnet"),
        (lambda: timm.create_model("seresnet18"), "has no place in a resnet"),
        (lambda: timm.create_model("deit3_small_patch16_224"), "positions|pos_embed|no place"),
        (lambda: timm.create_model("deit_tiny_distilled_patch16_224"), "pos_embed must be"),
    ):
        save_file(make().state_dict(), tmp_path / "other.safetensors")
        with pytest.raises(ValueError, match=message):
            pretrained.load_image_model(tmp_path / "other.safetensors")


def test_images_are_normalized_as_the_models_want_them():
    config = timm.create_model("vit_tiny_patch16_224").default_cfg
    assert config["mean"] == config["std"] == pretrained._images.HALVES[0]
    presets = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    assert (tuple(presets.mean), tuple(presets.std)) == pretrained._images.IMAGENET
