"""The zoo while a model is loading: what is made already is had at once."""

from __future__ import annotations

import threading

from streamproc.vision.engine import Engine
from streamproc.vision.store import ModelStore
from streamproc.vision.zoo import ModelZoo


def test_nobody_waits_for_a_model_that_somebody_else_loads(tmp_path) -> None:
    zoo = ModelZoo(ModelStore(cache=tmp_path), Engine(workers=1))
    assert zoo._once("made", lambda: "an adapter") == "an adapter"
    loading, loaded, had = threading.Event(), threading.Event(), threading.Event()

    def load() -> str:
        loading.set()
        assert loaded.wait(10)
        return "another"

    threading.Thread(target=lambda: zoo._once("slow", load), daemon=True).start()
    assert loading.wait(10)
    threading.Thread(target=lambda: had.set() if zoo._once("made", load) else None, daemon=True).start()
    assert had.wait(10), "it waited for the model that is loading"
    loaded.set()
    assert zoo._once("slow", lambda: "never made twice") == "another"
