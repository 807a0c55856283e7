"""The engine of one camera: from a source's items to decided events, knowing no store, connector or control plane."""
