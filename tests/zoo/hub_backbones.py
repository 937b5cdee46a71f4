"""KerasHub backbones with random weights, each as small as its architecture allows."""

import keras_hub
from keras_hub.src.models.clip.clip_text_encoder import CLIPTextEncoder  # these three have no public name
from keras_hub.src.models.clip.clip_vision_encoder import CLIPVisionEncoder
from keras_hub.src.models.vae.vae_backbone import VAEBackbone

_TEXT = {"vocabulary_size": 31, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
_POSITIONS = {"max_sequence_length": 40}
_GROUPED = {
    "vocabulary_size": 31,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 24,
}
_IMAGE = (32, 32, 3)


def _backbone(name, **arguments):
    return getattr(keras_hub.models, f"{name}Backbone")(**arguments)


def _vit(**more):
    arguments = {"patch_size": (8, 8), "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
    return _backbone("ViT", image_shape=_IMAGE, **arguments, **more)


def _clip():
    vision = CLIPVisionEncoder(
        patch_size=8, hidden_dim=8, num_layers=2, num_heads=2, intermediate_dim=16, image_shape=_IMAGE, name="vision"
    )
    text = CLIPTextEncoder(
        vocabulary_size=31,
        embedding_dim=8,
        hidden_dim=8,
        num_layers=2,
        num_heads=2,
        intermediate_dim=16,
        max_sequence_length=8,
        name="text",
    )
    return _backbone("CLIP", vision_encoder=vision, text_encoder=text, projection_dim=8)


def _sam():
    size = 128
    encoder = keras_hub.models.ViTDetBackbone(
        hidden_size=16,
        num_layers=4,
        intermediate_dim=32,
        num_heads=4,
        global_attention_layer_indices=[2, 3],
        patch_size=16,
        num_output_channels=8,
        window_size=2,
        image_shape=(size, size, 3),
    )
    prompts = keras_hub.layers.SAMPromptEncoder(
        hidden_size=8, image_embedding_size=(8, 8), input_image_size=(size, size), mask_in_channels=4
    )
    masks = keras_hub.layers.SAMMaskDecoder(
        num_layers=2,
        hidden_size=8,
        intermediate_dim=32,
        num_heads=4,
        embedding_dim=8,
        num_multimask_outputs=3,
        iou_head_depth=2,
        iou_head_hidden_dim=8,
    )
    return _backbone("SAM", image_encoder=encoder, prompt_encoder=prompts, mask_decoder=masks)


def _mobilenet():
    return _backbone(
        "MobileNet",
        stackwise_expansion=[[40, 56], [64, 144, 144]],
        stackwise_num_blocks=[2, 3],
        stackwise_num_filters=[[16, 16], [24, 24, 24]],
        stackwise_kernel_size=[[3, 3], [5, 5, 5]],
        stackwise_num_strides=[[2, 1], [1, 1, 1]],
        stackwise_se_ratio=[[None, None], [0.25, 0.25, 0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish", "hard_swish", "hard_swish"]],
        stackwise_padding=[[1, 1], [2, 2, 2]],
        output_num_filters=64,
        input_activation="hard_swish",
        output_activation="hard_swish",
        input_num_filters=16,
        image_shape=_IMAGE,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        last_layer_filter=64,
        squeeze_and_excite=0.5,
    )


def _efficientnet(**more):
    return _backbone(
        "EfficientNet",
        stackwise_kernel_sizes=[3, 3, 5],
        stackwise_num_repeats=[2, 1, 2],
        stackwise_input_filters=[8, 8, 16],
        stackwise_output_filters=[8, 16, 24],
        stackwise_expansion_ratios=[1, 4, 4],
        stackwise_squeeze_and_excite_ratios=[0, 0.25, 0.25],
        stackwise_strides=[1, 2, 2],
        stackwise_block_types=["fused", "unfused", "v1"],
        stackwise_force_input_filters=[0, 0, 0],
        stackwise_nores_option=[False, False, False],
        stackwise_width_coefficients=[1.0, 1.0, 1.0],
        stackwise_depth_coefficients=[1.0, 1.0, 1.0],
        num_features=32,
        input_shape=_IMAGE,
        **more,
    )


def _cspnet(**more):
    arguments = {
        "stem_filters": 16,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 2],
        "stackwise_strides": [1, 2],
        "stackwise_num_filters": [16, 32],
        "image_shape": _IMAGE,
        "block_type": "dark_block",
        "stage_type": "dark",
    }
    return _backbone("CSPNet", **arguments | more)


def _resnet(**more):
    arguments = {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 64],
        "stackwise_num_blocks": [2, 2],
        "stackwise_num_strides": [1, 2],
        "block_type": "basic_block",
        "image_shape": (None, None, 3),
    }
    return _backbone("ResNet", **arguments | more)


def _vae():
    return VAEBackbone(
        encoder_num_filters=[32, 32],
        encoder_num_blocks=[1, 1],
        decoder_num_filters=[32, 32],
        decoder_num_blocks=[1, 1],
        sampler_method="mode",
        input_channels=3,
        sample_channels=4,
        output_channels=3,
        image_shape=_IMAGE,
    )


REQUIRED = {
    "ViT": _vit,
    "BERT": lambda: _backbone("Bert", **_TEXT, **_POSITIONS),
    "DistilBERT": lambda: _backbone("DistilBert", **_TEXT, **_POSITIONS),
    "ALBERT": lambda: _backbone("Albert", **_TEXT, **_POSITIONS, embedding_dim=8, num_groups=1),
    "GPT-2": lambda: _backbone("GPT2", **_TEXT, **_POSITIONS),
    "OPT": lambda: _backbone("OPT", **_TEXT, **_POSITIONS),
    "BLOOM": lambda: _backbone("Bloom", **_TEXT),
    "Llama": lambda: _backbone("Llama", **_GROUPED),
    "Mistral": lambda: _backbone("Mistral", **_GROUPED, sliding_window=4),
    "Gemma": lambda: _backbone("Gemma", **_GROUPED, head_dim=4),
    "T5": lambda: _backbone("T5", **_TEXT),
    "BART": lambda: _backbone("Bart", **_TEXT, **_POSITIONS),
    "Whisper": lambda: _backbone("Whisper", **_TEXT, max_encoder_sequence_length=40, max_decoder_sequence_length=40),
    "CLIP": _clip,
    "SAM": _sam,
    "Swin": lambda: _backbone(
        "SwinTransformer", image_shape=_IMAGE, embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4
    ),
    "DeBERTa-v3": lambda: _backbone("DebertaV3", **_TEXT, **_POSITIONS, bucket_size=4),
    "MobileNet": _mobilenet,
    "ResNet": _resnet,
    "EfficientNet": _efficientnet,
    "CSPNet": _cspnet,
    "VGG": lambda: _backbone(
        "VGG", stackwise_num_repeats=[1, 1], stackwise_num_filters=[8, 8], image_shape=(None, None, 3)
    ),
    "DenseNet": lambda: _backbone("DenseNet", stackwise_num_repeats=[2, 2], growth_rate=4, image_shape=_IMAGE),
    "VAE": _vae,
}

OTHERS = {
    "Electra": lambda: keras_hub.models.ElectraBackbone(
        vocab_size=31, num_layers=2, num_heads=2, hidden_dim=8, embedding_dim=8, intermediate_dim=16
    ),
    "FNet": lambda: keras_hub.models.FNetBackbone(
        vocabulary_size=31, num_layers=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=40
    ),
    "GPT-NeoX": lambda: _backbone("GPTNeoX", **_TEXT | {"hidden_dim": 16}),
    "RoBERTa": lambda: _backbone("Roberta", **_TEXT, **_POSITIONS),
    "XLM-RoBERTa": lambda: _backbone("XLMRoberta", **_TEXT, **_POSITIONS),
    "XLNet": lambda: _backbone("XLNet", **_TEXT),
    "Llama 3": lambda: _backbone("Llama3", **_GROUPED),
    "Gemma 2": lambda: _backbone(
        "Gemma",
        **_GROUPED,
        head_dim=4,
        use_post_ffw_norm=True,
        use_post_attention_norm=True,
        attention_logit_soft_cap=50,
        final_logit_soft_cap=30,
        use_sliding_window_attention=True,
        sliding_window_size=4,
    ),
    "Phi-3": lambda: _backbone("Phi3", **_GROUPED),
    "Qwen 2": lambda: _backbone("Qwen2", **_GROUPED),
    "Qwen 3": lambda: _backbone("Qwen3", **_GROUPED, head_dim=4),
    "Mixtral": lambda: _backbone("Mixtral", **_GROUPED, num_experts=4),
    "Falcon": lambda: keras_hub.models.FalconBackbone(
        vocabulary_size=31, num_layers=2, num_attention_heads=4, hidden_dim=16, intermediate_dim=32
    ),
    "ESM": lambda: _backbone("ESM", **_TEXT, **_POSITIONS),
    "RoFormer": lambda: _backbone("RoformerV2", **_TEXT, head_size=4),
    "MiT": lambda: _backbone(
        "MiT",
        layerwise_depths=[1, 1],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[4, 2],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        image_shape=_IMAGE,
        hidden_dims=[8, 16],
    ),
    "DINOv2": lambda: _backbone(
        "DINOV2",
        patch_size=8,
        num_layers=2,
        hidden_dim=8,
        num_heads=2,
        intermediate_dim=16,
        image_shape=_IMAGE,
        position_embedding_shape=(48, 48, 3),
    ),
    "DINOv3": lambda: _backbone(
        "DINOV3", patch_size=8, num_layers=2, hidden_dim=8, num_heads=2, intermediate_dim=16, image_shape=_IMAGE
    ),
    "DeiT": lambda: _backbone(
        "DeiT", image_shape=_IMAGE, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16
    ),
    "ViTDet": lambda: _backbone(
        "ViTDet",
        hidden_size=16,
        num_layers=2,
        intermediate_dim=32,
        num_heads=4,
        global_attention_layer_indices=[1],
        patch_size=16,
        num_output_channels=8,
        window_size=2,
        image_shape=(64, 64, 3),
    ),
    "Xception": lambda: _backbone(
        "Xception", stackwise_conv_filters=[[8, 8], [8, 8, 8]], stackwise_pooling=[True, False], image_shape=_IMAGE
    ),
    "HGNetV2": lambda: _backbone(
        "HGNetV2",
        depths=[1, 2],
        embedding_size=8,
        hidden_sizes=[8, 16],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=False,
        stackwise_stage_filters=[[8, 8, 8, 1, 3, 3], [8, 8, 16, 1, 3, 3]],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, False],
        image_shape=_IMAGE,
    ),
    "DeepLabV3": lambda: _backbone(
        "DeepLabV3",
        image_encoder=_resnet(
            stackwise_num_filters=[64, 16, 16],
            stackwise_num_blocks=[1, 1, 1],
            stackwise_num_strides=[1, 2, 2],
            image_shape=(64, 64, 3),
        ),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P4",
        dilation_rates=[2, 4],
        upsampling_size=4,
        image_shape=(64, 64, 3),
    ),
    "RetinaNet": lambda: _backbone(
        "RetinaNet",
        image_encoder=_resnet(
            stackwise_num_filters=[64, 8, 8, 8],
            stackwise_num_blocks=[1, 1, 1, 1],
            stackwise_num_strides=[1, 2, 2, 2],
            image_shape=(128, 128, 3),
        ),
        min_level=3,
        max_level=5,
        use_p5=False,
        image_shape=(128, 128, 3),
    ),
    "ResNet v2 bottleneck": lambda: _resnet(block_type="bottleneck_block", use_pre_activation=True),
}
