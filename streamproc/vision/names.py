"""What the models call what they find, by class index."""

from functools import cache
from pathlib import Path

COCO: tuple[str, ...] = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)

OPEN_IMAGES_24: tuple[str, ...] = (
    "background",
    "Bicycle",
    "Boot",
    "Laptop",
    "Person",
    "Chair",
    "Cattle",
    "Desk",
    "Cat",
    "Computer mouse",
    "Computer monitor",
    "Box",
    "Mug",
    "Coffee cup",
    "Stationary bicycle",
    "Table",
    "Bottle",
    "High heels",
    "Vehicle",
    "Footwear",
    "Dog",
    "Book",
    "Camera",
    "Car",
)


@cache
def imagenet_1001() -> tuple[str, ...]:
    """Background and ImageNet's 1000 classes (ILSVRC 2012) by WordNet's synonyms, in the order of every network trained on them."""
    text = Path(__file__).with_name("imagenet.txt").read_text(encoding="utf-8")
    return ("background", *text.splitlines())


@cache
def imagenet_words() -> tuple[str, ...]:
    """One word for each of the 1000 classes: the first synonym in small letters, all of them or the index where two classes share it."""
    lines = [line.lower() for line in imagenet_1001()[1:]]
    first = [line.split(",")[0] for line in lines]
    words = [one if first.count(one) == 1 else line for one, line in zip(first, lines, strict=True)]
    return tuple(
        f"{word} ({index})" if "," not in word and first.count(word) > 1 else word for index, word in enumerate(words)
    )
