"""OpenVINO: the model catalogue and its cache, one compiled model for the process, and the adapters around each model."""
