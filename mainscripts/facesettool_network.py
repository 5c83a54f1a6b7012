"""`facesettool enhance` by the network: the same for every face, on one device or on several at once.

The network works in this process; no worker process ever loads a neural framework.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.images import to_float, to_uint8
from core.parallel import Outcome
from core.paths import weights_folder
from facelib.nets import older_weights, pretrained

Item = TypeVar("Item")


class Enlarger(Protocol):
    """A network that makes pictures four times as large."""

    def enlarge(self, picture: NDArray) -> NDArray:
        """(H, W, 3) BGR float32 in 0..1 -> (4 H, 4 W, 3) likewise."""
        ...


def network_is_there() -> bool:
    """Whether somebody has put the network into the weights folder."""
    return (weights_folder() / pretrained.FACE_ENHANCER.name).is_file()


def make_enhancers(device: str) -> list[tuple[str, Enlarger]]:
    """The network on each chosen device, with the device's name.

    Raises:
        MissingInput, BrokenFile: its weights are not there, damaged, or do not fit.
        BadOption: no such device.
    """
    file = pretrained.FACE_ENHANCER
    stream = pretrained.read_optional(file)
    tensors = older_weights.tensors_of_stream(stream, older_weights.enhancer_table(), weights_folder() / file.name)
    # Only now, when the file is there and whole: the neural framework takes seconds to load.
    from core.nn.device import choose_devices
    from facelib.nets.enhancer import Enhancer

    return [(found.name, Enhancer(tensors, found)) for found in choose_devices(device)]


def enhance_with(network: Enlarger, image: NDArray, scale: int) -> NDArray:
    """The picture `scale` times as large: enlarged four times, then reduced by means over areas.

    Args:
        image: (H, W, 3) BGR uint8.
        scale: 1 to 4.

    Returns:
        (scale * H, scale * W, 3) BGR uint8.
    """
    height, width = image.shape[:2]
    large = network.enlarge(to_float(image).astype(np.float32))
    return to_uint8(cv2.resize(large, (scale * width, scale * height), interpolation=cv2.INTER_AREA))


def each_on_its_device(
    work: Callable[[Enlarger, Item], str], networks: Sequence[Enlarger], items: Iterable[Item]
) -> Iterator[Outcome[Item, str]]:
    """Applies `work` to every item, each network in a thread of its own; outcomes come in the order of the items."""
    threads = [ThreadPoolExecutor(1) for _ in networks]
    under_way: deque[tuple[Item, Future[str]]] = deque()
    try:
        for item, number in zip(items, cycle(range(len(networks))), strict=False):
            under_way.append((item, threads[number].submit(work, networks[number], item)))
            if len(under_way) >= 2 * len(networks):
                yield _outcome(*under_way.popleft())
        while under_way:
            yield _outcome(*under_way.popleft())
    finally:
        for thread in threads:
            thread.shutdown(wait=True, cancel_futures=True)


def _outcome(item: Item, future: Future[str]) -> Outcome[Item, str]:
    """Faces that fail are reported and the others go on; a device that fails ends the run."""
    try:
        return Outcome(item, future.result())
    except FaceLoomError as problem:
        return Outcome(item, None, str(problem))
