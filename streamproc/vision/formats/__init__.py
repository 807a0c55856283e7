"""Model files that OpenVINO has no front end for, read with numpy alone."""
