"""The networks of torchvision and timm, without what they do after the features, and that part by itself.

Each function makes a module with fresh weights: from float ``[n, 3, h, w]``, normalised with ImageNet's statistics, to
features ``[n, d, h', w']``; or a head, from such features to ``[n, d]``. Names of layers stay theirs, so that published
weights fit. Nothing is dropped at random along the depth: a step must draw the same in every process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torchvision import models

from veduta.training.hypercolumns import Hypercolumns
from veduta.training.normalise import Recentre
from veduta.training.vision_transformer import PatchFeatures


def sequential_features(make: Callable[..., nn.Module]) -> nn.Module:
    """Of those that have their features in a module of this name: MobileNetV2, SqueezeNet, EfficientNetV2, AlexNet."""
    features = make(weights=None).features
    assert isinstance(features, nn.Module)
    return features


def hypercolumns(make: Callable[..., nn.Module], read: Mapping[str, int]) -> nn.Module:
    """Of those whose features are a sequence of layers, with what the layers of ``read`` give beside the last."""
    features = sequential_features(make)
    assert isinstance(features, nn.Sequential)
    return Hypercolumns(features, read)


def vgg_features(plan: str) -> nn.Module:
    """Of VGG by the paper's letter; torchvision's own function would fill 120 million numbers of the head as well."""
    features: nn.Module = models.vgg.make_layers(models.vgg.cfgs[plan])
    with torch.no_grad():
        for module in features.modules():
            if isinstance(module, nn.Conv2d):
                assert module.bias is not None
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
    return features


def fully_connected(channels: int, side: int, *, dropout_first: bool) -> nn.Module:
    """The head of AlexNet and VGG: ``side`` × ``side`` positions, and two layers of 4,096."""
    layers = [nn.Linear(channels * side * side, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(
        OrderedDict(
            pool=nn.AdaptiveAvgPool2d(side),
            flatten=nn.Flatten(),
            layers=nn.Sequential(*([nn.Dropout()] if dropout_first else []), *layers),
        )
    )


def densenet_features(make: Callable[..., nn.Module]) -> nn.Module:
    """Of DenseNet, with the ReLU that torchvision computes outside of them."""
    features = sequential_features(make)
    features.add_module("relu5", nn.ReLU(inplace=True))
    return features


def resnet_features(make: Callable[..., nn.Module]) -> nn.Module:
    """Of ResNet and its kin. Each block begins as nothing but its shortcut (Goyal et al. 2017, "Accurate, Large
    Minibatch SGD"), for a deep one from fresh weights would enlarge rounding a thousandfold.
    """
    return _without(make(weights=None, zero_init_residual=True), "avgpool", "fc")


def resnet200(weights: None, zero_init_residual: bool) -> nn.Module:
    """ResNet-200 with the blocks of torchvision, which stops at 152 layers."""
    network: nn.Module = models.ResNet(models.resnet.Bottleneck, [3, 24, 36, 3], zero_init_residual=zero_init_residual)
    return network


def inception_features() -> nn.Module:
    """Of Inception-v3, which sees pixels from -1 to 1."""
    # The usual start of its layers costs less than the default of convolutions, and torchvision asks to choose.
    network = models.inception_v3(weights=None, aux_logits=False, init_weights=True)
    return _recentred(_without(network, "avgpool", "dropout", "fc"))


def inception_resnet_features() -> nn.Module:
    """Of timm's Inception-ResNet-v2, which sees pixels from -1 to 1."""
    return _recentred(_without(_timm("inception_resnet_v2"), "global_pool", "head_drop", "classif"))


def convnext_features() -> nn.Module:
    """Of ConvNeXt-T, with the norm that torchvision has after the pooling: before it, each position has its answer."""
    network = models.convnext_tiny(weights=None, stochastic_depth_prob=0.0)
    features: nn.Module = network.features
    features.add_module("norm", network.classifier[0])
    return features


def pooled_norm(features: nn.Module) -> nn.Module:
    """The head of ConvNeXt: the norm, taken from ``features`` and put after the pooling, where ImageNet trained it."""
    norm = features.get_submodule("norm")
    features.add_module("norm", nn.Identity())
    return nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), norm=norm, flatten=nn.Flatten()))


def mobilenetv4_features(name: str) -> nn.Module:
    """Of timm's MobileNetV4, without the convolution that it has after the pooling."""
    return _without(_timm(name), "global_pool", "conv_head", "norm_head", "act2", "flatten", "classifier")


def pooled_convolution(channels: int) -> nn.Module:
    """The head of MobileNetV4: a convolution to 1,280 channels after the pooling."""
    return nn.Sequential(
        OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1),
            conv=nn.Conv2d(channels, 1280, 1, bias=False),
            norm=nn.BatchNorm2d(1280),
            relu=nn.ReLU(inplace=True),
            flatten=nn.Flatten(),
        )
    )


def patch_features(name: str) -> nn.Module:
    """Of timm's vision transformer of this name, as a grid."""
    return PatchFeatures(_timm(name))


def _timm(name: str) -> nn.Module:
    # A second of imports, which only those pay who build one of its networks.
    import timm

    network: nn.Module = timm.create_model(name, pretrained=False)
    return network


def _without(network: nn.Module, *names: str) -> nn.Sequential:
    layers = OrderedDict(network.named_children())
    for name in names:
        del layers[name]
    return nn.Sequential(layers)


def _recentred(layers: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(OrderedDict([("recentre", Recentre()), *layers.named_children()]))
