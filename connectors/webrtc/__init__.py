"""A browser, a phone or OBS as the camera, by WebRTC."""
